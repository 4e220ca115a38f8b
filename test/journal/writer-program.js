import { randomBytes } from "node:crypto";
import { writeSync } from "node:fs";
import { pathToFileURL } from "node:url";

// Appends `count` events and prints each id right after append said yes; then the stats, without closing the journal.
const [, , modulePath = "", root = "", planText = "{}"] = process.argv;
/** @type {{ count: number, bounds?: object }} */
const plan = JSON.parse(planText);
/** @type {typeof import("../../src/journal/journal.ts")} */
const { openJournal } = await import(pathToFileURL(modulePath).href);

/** @type {string[]} */
const problems = [];
const journal = openJournal({
  root,
  durability: "process",
  clock: { now: () => Date.now() },
  random: (bytes) => randomBytes(bytes),
  onProblem: ({ phase, error }) => {
    const { cause } = error;
    problems.push(`${phase} ${error.code} ${cause instanceof Error && "code" in cause ? String(cause.code) : ""}`);
  },
  bounds: plan.bounds ?? {},
});

for (let at = 0; at < plan.count; at++) {
  const id = journal.nextId();
  const event = {
    source: "child",
    id,
    type: "http.request",
    time: Date.now(),
    company: "acme",
    user: null,
    metadata: { at },
  };
  if (journal.append(JSON.stringify({ kind: "event", event, open: [] }))) writeSync(1, `${id}\n`);
}
writeSync(1, `${JSON.stringify({ stats: journal.stats(), problems })}\n`);
process.exit(0);
