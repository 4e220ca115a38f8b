// The witness of the fault tests, in a process of its own: an append-only log of what was attempted and acknowledged, and a
// verdict from the raw database by plain loops. It shares no code with what it judges. Started by oracle.ts.
import { execFile } from "node:child_process";
import { fsyncSync, openSync, writeSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

import SqliteDatabase from "better-sqlite3";

const COMMAND = fileURLToPath(new URL("../../dist/cli/main.js", import.meta.url));
const ONE = 10n ** 12n;

/** @type {Map<string, { company: string, quantity: bigint }>} */
const attempted = new Map();
/** @type {Set<string>} */
const acknowledged = new Set();
/** @type {string[][]} */
const wholes = [];

const log = openSync(String(process.argv[2]), "a", 0o600);
let unwritten = "";

/** Many messages share one flush. @param {object} line */
function note(line) {
  if (unwritten === "") setImmediate(flush);
  unwritten += `${JSON.stringify(line)}\n`;
}

function flush() {
  if (unwritten === "") return;
  writeSync(log, unwritten);
  unwritten = "";
  fsyncSync(log);
}

/** A decimal text times 10^12. @param {string} text */
function scaled(text) {
  const [, sign = "", whole = "", fraction = ""] = /^(-?)(\d+)(?:\.(\d{1,12}))?$/.exec(text) ?? [];
  if (whole === "") throw new Error(`the oracle cannot read the number ${JSON.stringify(text)}`);
  const value = BigInt(whole) * ONE + BigInt(fraction.padEnd(12, "0"));
  return sign === "-" ? -value : value;
}

/** @param {bigint} value */
function floorOf(value) {
  return value >= 0n ? value / ONE : -((-value + ONE - 1n) / ONE);
}

/** Every stored event. @param {string} path @returns {{ token: string, company: string, quantity: bigint | null }[]} */
function storedEvents(path) {
  const db = new SqliteDatabase(path, { readonly: true, fileMustExist: true });
  try {
    const rows = /** @type {{ id: string, company: string | null, rest: string | null }[]} */ (
      db
        .prepare(
          `SELECT e.id AS id, n.text AS company, e.rest AS rest FROM events e
           LEFT JOIN assigned a ON a.seq = e.seq LEFT JOIN names n ON n.code = coalesce(a.company, e.company)`,
        )
        .all()
    );
    return rows.map(({ id, company, rest }) => {
      const { m, sh, d } = JSON.parse(rest ?? "{}");
      const header = sh?.["x-tokens-used"];
      const text = (Array.isArray(header) ? header[0] : header) ?? m?.tokens ?? d?.total_usage;
      return {
        token: String(m?.token ?? d?.token ?? d?.metadata?.token ?? id),
        company: company ?? "(nobody)",
        quantity: text === undefined ? null : scaled(String(text)),
      };
    });
  } finally {
    db.close();
  }
}

/** Lines of a command's --json output. @param {string} directory @param {Record<string, string>} env @param {string[]} args @returns {Promise<any[]>} */
function command(directory, env, args) {
  return new Promise((resolve, reject) => {
    execFile(
      process.execPath,
      [COMMAND, ...args, "--json"],
      { cwd: directory, env: { ...process.env, ...env }, maxBuffer: 2 ** 28 },
      (error, stdout, stderr) => {
        // `verify` ends with 1 when a sum is wrong, and says so in its output.
        if (error !== null && stdout === "") reject(new Error(`meterbook ${args.join(" ")}: ${stderr}`));
        else resolve(stdout.split("\n").flatMap((line) => (line === "" ? [] : [JSON.parse(line)])));
      },
    );
  });
}

/** @param {Map<string, bigint>} sums @param {string} key @param {bigint} value */
function add(sums, key, value) {
  sums.set(key, (sums.get(key) ?? 0n) + value);
}

/** @param {ReturnType<typeof storedEvents>} stored */
function compareEvents(stored) {
  /** @type {Record<string, { acknowledged: number, stored: number, lost: string[], doubled: string[], invented: string[] }>} */
  const companies = Object.create(null);
  /** @param {string} company */
  const of = (company) => (companies[company] ??= { acknowledged: 0, stored: 0, lost: [], doubled: [], invented: [] });
  /** @type {Map<string, number>} */
  const times = new Map();
  for (const { token, company, quantity } of stored) {
    const told = attempted.get(token);
    const count = (times.get(token) ?? 0) + 1;
    times.set(token, count);
    of(company).stored += 1;
    if (count === 2) of(company).doubled.push(token);
    if (told === undefined || told.company !== company || told.quantity !== quantity) of(company).invented.push(token);
  }
  for (const token of acknowledged) {
    const company = attempted.get(token)?.company ?? "(nobody)";
    of(company).acknowledged += 1;
    if (!times.has(token)) of(company).lost.push(token);
  }
  return companies;
}

/** @param {Map<string, bigint>} sums @param {any[]} usage @param {string} meter */
function compareTotals(sums, usage, meter) {
  /** @type {Map<string, bigint>} */
  const said = new Map();
  for (const row of usage)
    if (row.meter === meter && row.customer !== null) add(said, row.customer, scaled(row.value ?? "0"));
  return [...new Set([...sums.keys(), ...said.keys()])]
    .filter((company) => (sums.get(company) ?? 0n) !== (said.get(company) ?? 0n))
    .map(
      (company) =>
        `${company}: events sum to ${sums.get(company) ?? 0n}, usage says ${said.get(company) ?? 0n} (both × 10^12)`,
    );
}

/** @param {Map<string, bigint>} sums @param {string} url @param {string} meter @param {boolean} settled */
async function compareLedger(sums, url, meter, settled) {
  const answer = await fetch(`${url}/_local/ledger`);
  /** @type {{ eventName: string, customer: string, value: string, identifiers: string[] }[]} */
  const entries = JSON.parse(await answer.text());
  /** @type {Map<string, bigint>} */
  const billed = new Map();
  const known = new Set([...attempted.values()].map(({ company }) => company));
  for (const { eventName, customer, value } of entries) {
    const company = customer.replace(/^cus_/, "");
    // One Stripe may serve several databases, one after another.
    if (eventName === meter && known.has(company)) add(billed, company, scaled(value));
  }
  return [...new Set([...sums.keys(), ...billed.keys()])].flatMap((company) => {
    const due = floorOf(sums.get(company) ?? 0n) * ONE;
    const is = billed.get(company) ?? 0n;
    return (settled ? is === due : is <= due)
      ? []
      : [`${company}: Stripe counted ${is / ONE}, the floor is ${due / ONE}`];
  });
}

/** @param {import("./oracle.ts").OracleQuestion} question @returns {Promise<import("./oracle.ts").OracleVerdict>} */
async function verdictOn({
  directory,
  database = "meter.db",
  stripeUrl,
  settled = true,
  meter = "chat_tokens",
  env = {},
}) {
  flush();
  // The first command takes the journals in; then the raw rows are read beside what the engine says.
  const usage = await command(directory, env, ["usage"]);
  const [verified] = await command(directory, env, ["verify"]);
  const stored = storedEvents(join(directory, database));
  /** @type {Map<string, bigint>} */
  const sums = new Map();
  for (const { company, quantity } of stored) add(sums, company, quantity ?? 0n);
  const companies = compareEvents(stored);
  const each = Object.values(companies);
  const there = new Set(stored.map(({ token }) => token));
  return {
    companies,
    acknowledged: each.reduce((sum, company) => sum + company.acknowledged, 0),
    stored: each.reduce((sum, company) => sum + company.stored, 0),
    lost: each.flatMap(({ lost }) => lost),
    doubled: each.flatMap(({ doubled }) => doubled),
    invented: each.flatMap(({ invented }) => invented),
    torn: wholes
      .filter((tokens) => new Set(tokens.map((token) => there.has(token))).size > 1)
      .map((tokens) => tokens.map((token) => `${there.has(token) ? "" : "not "}${token}`).join(", ")),
    wrongTotals: compareTotals(sums, usage, meter),
    wrongLedger: stripeUrl === undefined ? [] : await compareLedger(sums, stripeUrl, meter, settled),
    verifyOk: verified?.ok === true,
  };
}

process.on("message", (/** @type {any} */ message) => {
  switch (message.kind) {
    case "attempted":
      note(["attempted", message.token, message.company, message.tokens]);
      attempted.set(message.token, { company: message.company, quantity: scaled(message.tokens) });
      break;
    case "acknowledged":
      note(["acknowledged", message.token]);
      acknowledged.add(message.token);
      break;
    case "whole":
      note(["whole", message.tokens]);
      wholes.push(message.tokens);
      break;
    case "begin":
      note(["begin"]);
      attempted.clear();
      acknowledged.clear();
      wholes.length = 0;
      break;
    case "check":
      verdictOn(message.question).then(
        (verdict) => process.send?.({ call: message.call, verdict }),
        (/** @type {unknown} */ error) => process.send?.({ call: message.call, error: String(error) }),
      );
      break;
  }
});
process.on("disconnect", () => process.exit(0));
process.send?.({ ready: true });
