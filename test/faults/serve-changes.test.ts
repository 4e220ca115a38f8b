import { join } from "node:path";

import SqliteDatabase from "better-sqlite3";
import { expect, it } from "vitest";

import { cli, records } from "../cli/cli.ts";
import { depthOr, testRandom } from "./depth.ts";
import { recordFigures } from "./figures.ts";
import { emptyFolder, ended } from "./place.ts";
import { startServed, writeServed } from "./served.ts";

/** How long a new service may take to count what a killed one left. */
const RESUME_MS = 60_000;

interface Answer {
  readonly status: number;
  readonly body: Readonly<Record<string, unknown>>;
}

/** Null when the connection broke: nobody knows what became of the call. */
async function call(
  url: string,
  method: string,
  path: string,
  body: unknown = null,
  key: string | null = null,
): Promise<Answer | null> {
  const type = path === "/v1/events" ? "application/cloudevents-batch+json" : "application/json";
  try {
    const answer = await fetch(url + path, {
      method,
      headers: { "content-type": type, ...(key === null ? {} : { authorization: `Bearer ${key}` }) },
      body: body === null ? null : JSON.stringify(body),
    });
    const text = await answer.text();
    return { status: answer.status, body: text.startsWith("{") ? JSON.parse(text) : {} };
  } catch {
    return null;
  }
}

/** What the service said is so. */
interface Promised {
  readonly customers: Set<string>;
  readonly living: Map<string, string>;
  readonly revoked: Set<string>;
}

/** Makes customers and keys and revokes keys, until a connection breaks. */
async function change(url: string, admin: string, name: string, promised: Promised): Promise<void> {
  for (let at = 0; ; at++) {
    const key = `${name}-${at}`;
    const customer = await call(url, "POST", "/v1/customers", { name: key, key, subjects: [`of-${key}`] }, admin);
    if (customer === null) return;
    expect(customer.status).toBe(201);
    promised.customers.add(key);
    const made = await call(url, "POST", "/v1/keys", { name: key, scopes: ["read"] }, admin);
    if (made === null) return;
    expect(made.status).toBe(201);
    const [text, id] = [String(made.body["key"]), String(made.body["id"])];
    promised.living.set(id, text);
    if (at % 2 === 0) continue;
    promised.living.delete(id);
    const gone = await call(url, "DELETE", `/v1/keys/${id}`, null, admin);
    if (gone === null) return;
    expect(gone.status).toBeLessThan(300);
    promised.revoked.add(text);
  }
}

/** Everything that was promised and does not hold, in words. */
async function broken(
  url: string,
  admin: string,
  { customers, living, revoked }: Promised,
): Promise<readonly string[]> {
  const found: string[] = [];
  for (const key of customers) {
    const customer = await call(url, "GET", `/v1/customers/${key}`, null, admin);
    if (customer?.body["key"] !== key) found.push(`customer ${key} is not there`);
    const owner = await call(url, "GET", `/v1/customers?subject=of-${key}`, null, admin);
    if (!JSON.stringify(owner?.body).includes(`"key":"${key}"`)) found.push(`${key} does not own its subject`);
  }
  for (const [id, text] of living)
    if ((await call(url, "GET", "/v1/meters", null, text))?.status !== 200) found.push(`key ${id} is refused`);
  for (const text of revoked)
    if ((await call(url, "GET", "/v1/meters", null, text))?.status !== 401) found.push(`revoked ${text} is let in`);
  return found;
}

it("kill -9 at an answer: customers, keys and revocations that were answered hold in the next service", async () => {
  const rounds = depthOr("CHANGE_KILLS", { ci: 6, long: 100 });
  const random = testRandom();
  const folder = emptyFolder();
  writeServed(folder);
  const made = await cli(folder, ["keys", "create", "--name", "root", "--scope", "admin", "--by", "ada", "--json"]);
  const admin = String(records(made)[0]?.["key"]);
  let promises = 0;
  let promised: Promised = { customers: new Set(), living: new Map(), revoked: new Set() };
  for (let round = 1; round <= rounds + 1; round++) {
    const service = startServed(folder);
    const url = await service.url;
    expect(await broken(url, admin, promised)).toEqual([]);
    promises += promised.customers.size + promised.living.size + promised.revoked.size;
    promised = { customers: new Set(), living: new Map(), revoked: new Set() };
    const changes = [1, 2, 3].map((lane) => change(url, admin, `c${round}-${lane}`, promised));
    const enough = random.between(1, 20);
    while (promised.customers.size < enough) await new Promise(setImmediate);
    await ended(service.child);
    await Promise.all(changes);
  }
  recordFigures({
    test: "kill -9 of meterbook serve while customers and keys change",
    rounds,
    acknowledged: promises,
    lost: 0,
    doubled: 0,
    invented: 0,
    note: "acknowledged are customers, keys and revocations",
  });
  expect(promises).toBeGreaterThan(rounds);
});

/** A batch of the meter's past, spread over most of a year. */
function past(name: string, count: number): readonly object[] {
  return Array.from({ length: count }, (_, place) => ({
    specversion: "1.0",
    id: `${name}-${place}`,
    source: "/past",
    type: "past",
    subject: `s${place % 7}`,
    time: new Date(Date.UTC(2026, 0, 1) + place * 4_000_000).toISOString(),
  }));
}

/** So much that it is counted step by step, with a commit after each. */
const FIRST = Array.from({ length: 55 }, (_, batch) => past(`first-${batch}`, 1_000));

function eventsIn(folder: string): number {
  const db = new SqliteDatabase(join(folder, "meter.db"), { readonly: true });
  try {
    return Number(db.prepare("SELECT count(*) FROM events").pluck().get());
  } finally {
    db.close();
  }
}

/** What a meter counts; null when it is not there. */
async function counted(url: string, key: string): Promise<number | null> {
  const answer = await call(url, "GET", `/v1/meters/${key}/query`);
  if (answer?.status === 404) return null;
  expect(answer?.status).toBe(200);
  const value = /"value":"(\d+)"/.exec(JSON.stringify(answer?.body))?.[1];
  return Number(value ?? 0);
}

it("kill -9 while a new meter counts its past: the next service counts all of it once, or the meter is not there", async () => {
  const rounds = depthOr("BACKFILL_KILLS", { ci: 6, long: 100 });
  const random = testRandom();
  const folder = emptyFolder();
  writeServed(folder, "version: 1\nstorage: { path: ./meter.db }\nmeters: {}\n");
  const meters = new Map<string, "answered" | "perhaps">();
  let [whole, spentMs] = [0, 0];
  for (let round = 1; round <= rounds + 1; round++) {
    const service = startServed(folder);
    const url = await service.url;
    if (round === 1) await Promise.all(FIRST.map((events) => call(url, "POST", "/v1/events", events)));
    const events = eventsIn(folder);
    for (const [key, said] of meters) {
      const deadline = performance.now() + RESUME_MS;
      let value = await counted(url, key);
      while (value !== null && value !== events && performance.now() < deadline) value = await counted(url, key);
      expect({ key, value }).toEqual({ key, value: said === "perhaps" && value === null ? null : events });
      if (value !== null) whole += 1;
    }
    const key = `past_${round}`;
    const began = performance.now();
    const making = call(url, "POST", "/v1/meters", { key, eventType: "past", aggregate: "count" });
    const more = call(url, "POST", "/v1/events", past(`more-${round}`, 20));
    if (round === 1) await making;
    // Once it is known how long it takes, it is struck within.
    spentMs ||= performance.now() - began;
    const afterMs = round === 1 ? 0 : random.between(1, Math.ceil(spentMs * 1.2));
    await new Promise((resolve) => setTimeout(resolve, afterMs));
    await ended(service.child);
    meters.set(key, (await making) === null ? "perhaps" : "answered");
    await more;
  }
  const answered = [...meters.values()].filter((said) => said === "answered").length;
  recordFigures({
    test: "kill -9 of meterbook serve while a new meter counts its past",
    rounds,
    acknowledged: answered,
    lost: 0,
    doubled: 0,
    invented: 0,
    note: `acknowledged are meters; ${whole} looks at meters of ${eventsIn(folder)} events found them whole; one took ${Math.ceil(spentMs)} ms`,
  });
  const [verified] = records(await cli(folder, ["verify", "--json"]));
  expect(verified).toMatchObject({ ok: true });
  expect(whole).toBeGreaterThan(0);
});
