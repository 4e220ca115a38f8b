import { randomBytes } from "node:crypto";
import { writeSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

// One run of the whole chain in a process of its own, recorded call by call: journal, drain, database, outbox, delivery.
// What it promises to others it says on its output, one JSON line a write, at the instant from which it must hold.

/**
 * @typedef {{ build: string, directory: string, durability: "power" | "process", steps: number, seed: number }} Order
 * @typedef {import("../../../src/engine/ports.ts").ReportAnswer} ReportAnswer
 */
/** @type {Order} */
const order = JSON.parse(process.argv[2] ?? "{}");
/**
 * @template Module
 * @param {string} path
 * @returns {Promise<Module>}
 */
const built = (path) => import(pathToFileURL(join(order.build, path)).href);
/** @type {typeof import("../../../src/journal/journal.ts")} */
const { openJournal } = await built("journal/journal.js");
/** @type {typeof import("../../../src/runtime/node.ts")} */
const { openNode } = await built("runtime/node.js");
/** @type {typeof import("../../../src/runtime/load-config.ts")} */
const { loadConfig } = await built("runtime/load-config.js");
/** @type {typeof import("../../../src/runtime/journal-root.ts")} */
const { journalRoot } = await built("runtime/journal-root.js");
/** @type {typeof import("../../../src/engine/delivery/report.ts")} */
const { reportOnce } = await built("engine/delivery/report.js");

const MINUTE_MS = 60_000;
const COMPANIES = ["acme", "globex", "initech"];
let state = order.seed >>> 0;
const random = () => {
  state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
  return state / 2 ** 32;
};
const say = (/** @type {object} */ fact) => void writeSync(1, `${JSON.stringify(fact)}\n`);

let now = Date.UTC(2026, 10, 22, 10);
const clock = { now: () => now };
const { settings } = loadConfig({
  config: "meterbook.yaml",
  directory: order.directory,
  env: { STRIPE_API_KEY: "sk_test_power" },
});
const stripe = settings.billing.stripe;
if (stripe === null) throw new Error("the configuration reports nothing");

const begin = () =>
  openJournal({
    root: journalRoot(settings),
    durability: order.durability,
    clock,
    random: (bytes) => randomBytes(bytes),
    onProblem: ({ error }) => say({ kind: "problem", text: error.message }),
    // Small segments: many are filled, stored and deleted in a short run.
    bounds: { segmentBytesMax: 4_000 },
  });
const open = (/** @type {string} */ ownWriter) =>
  openNode({
    settings,
    clock,
    ownWriter,
    adoptFrom: now,
    onNotice: (notice) => say({ kind: "problem", text: notice.text }),
  });

let journal = begin();
let node = await open(journal.writer);
/** What is written down and not promised yet. @type {string[]} */
let waiting = [];
/** Events whose payer is not written down yet, oldest first. @type {{ id: string, company: string | undefined }[]} */
const unattributed = [];

/** @param {object} entry @param {string} id */
const append = (entry, id) => {
  const json = JSON.stringify(entry);
  waiting.push(id);
  if (order.durability === "power") {
    return new Promise((resolve) =>
      journal.appendDurable(json, (error) => {
        if (error === undefined) say({ kind: "acknowledged", ids: [id] });
        resolve(undefined);
      }),
    );
  }
  if (!journal.append(json)) throw new Error("the journal refused");
  return Promise.resolve(undefined);
};

/** An event; of some it is known only later who pays, by a line of its own. */
const record = () => {
  const id = journal.nextId();
  const company = COMPANIES[Math.floor(random() * COMPANIES.length)];
  const tokens = `${Math.floor(random() * 40)}.${Math.floor(random() * 10)}`;
  say({ kind: "attempted", id, company, tokens });
  const isOpen = random() < 0.15;
  if (isOpen) unattributed.push({ id, company });
  const event = {
    source: "power",
    id,
    type: "done",
    time: now,
    company: isOpen ? null : company,
    user: null,
    values: { tokens },
  };
  return append({ kind: "event", event, open: isOpen ? ["identity"] : [] }, id);
};

const attribute = () => {
  const next = unattributed.shift();
  if (next === undefined) return Promise.resolve(undefined);
  const amendment = { source: "power", ...next, closes: "identity" };
  return append({ kind: "amendment", amendment }, `company of ${next.id}`);
};

/** What is in the journal goes to the database; from then on it must be there, whatever the journal promised. */
const drain = async () => {
  const taken = waiting;
  waiting = [];
  await node.drainAll();
  // Events that wait for their payer are in the journal alone: only its own promise holds for them.
  const isWaiting = new Set(unattributed.map(({ id }) => id));
  say({ kind: "acknowledged", ids: taken.filter((id) => !isWaiting.has(id)) });
  waiting = taken.filter((id) => isWaiting.has(id));
};

/** @type {import("../../../src/engine/ports.ts").UsageReporter} */
const reporter = {
  account: async () => "acct_power/test",
  async *customers() {
    for (const company of COMPANIES) yield { company, customer: `cus_${company}`, deleted: false };
  },
  findCustomer: async () => ({ kind: "missing" }),
  meter: async () => ({ kind: "ready", keepsLast: null }),
  cancel: async () => ({ kind: "dead", reason: "nothing is cancelled here", requestId: null }),
  counted: async () => [],
  clockFault: async () => null,
  periods: async () => [],
  report: async ({ identifier, company, value }) => {
    // From here on Stripe has counted it; some of its answers get lost.
    say({ kind: "sent", identifier, company, value: value.toString() });
    const requestId = null;
    /** @type {ReportAnswer} */
    const lost = {
      kind: "unknown",
      reason: "reset",
      requestId,
      freshKey: false,
      retryAfterMs: null,
      rateLimited: false,
    };
    return random() < 0.2 ? lost : { kind: "accepted", requestId };
  },
};

const report = () =>
  reportOnce({
    store: node.store,
    catalog: node.catalog,
    reporter,
    settings: stripe,
    clock,
    holder: "power",
    random,
    wait: async (ms) => void (now += ms),
  });

for (let step = 1; step <= order.steps; step++) {
  await Promise.all(Array.from({ length: 1 + Math.floor(random() * 6) }, record));
  while (unattributed.length > 0 && random() < 0.3) await attribute();
  if (step % 3 === 0) await journal.sync();
  if (step % 3 === 0 && order.durability === "process") say({ kind: "acknowledged", ids: waiting });
  if (step % 4 === 0) await drain();
  if (step % 7 === 0) {
    now += MINUTE_MS;
    await report();
  }
  if (step % 25 === 0) {
    // An orderly end and a new start: another writer, another connection. A writer attributes what it has written.
    while (unattributed.length > 0) await attribute();
    await journal.close();
    if (step % 50 === 0) {
      await node.close();
      journal = begin();
      node = await open(journal.writer);
    } else journal = begin();
  }
}
while (unattributed.length > 0) await attribute();
await drain();
await journal.close();
await node.close();
say({ kind: "end", now });
process.exit(0);
