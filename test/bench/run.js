// npm run bench -- [part …] [--quick] [--rounds N] [--in FOLDER] [--json FILE]
import { fork } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";

import { PARTS } from "./parts.js";
import { loadText, machineLine, targetTable } from "./report.js";

const FULL = {
  warmUpRequests: 6_000,
  rounds: 11,
  sliceRequests: 3_000,
  perSecond: 1_000,
  pacedRequests: 1_000,
  inProcessRounds: 15,
  inProcessRequests: 8_000,
  drainEvents: 300_000,
  drainRounds: 3,
  matchingRounds: 25,
  memoryRequests: 1_000_000,
  servedEvents: 1_000_000,
  servedPosts: 30_000,
  queryEvents: 10_000_000,
  queryCompanies: 2_000,
  queryRounds: 15,
};

const QUICK = {
  warmUpRequests: 2_000,
  rounds: 3,
  sliceRequests: 1_500,
  perSecond: 1_000,
  pacedRequests: 500,
  inProcessRounds: 5,
  inProcessRequests: 4_000,
  drainEvents: 60_000,
  drainRounds: 1,
  matchingRounds: 9,
  memoryRequests: 200_000,
  servedEvents: 200_000,
  servedPosts: 6_000,
  queryEvents: 1_000_000,
  queryCompanies: 500,
  queryRounds: 5,
};

const { values: options, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    quick: { type: "boolean", default: false },
    rounds: { type: "string" },
    in: { type: "string", default: tmpdir() },
    json: { type: "string" },
  },
});
const unknown = positionals.filter((name) => !Object.hasOwn(PARTS, name));
if (unknown.length > 0) {
  console.error(`There is no part ${unknown.join(", ")}. Parts are ${Object.keys(PARTS).join(", ")}.`);
  process.exit(1);
}
await runAll(positionals.length === 0 ? Object.keys(PARTS) : positionals);

async function runAll(names) {
  const root = mkdtempSync(join(options.in, "meterbook-bench-"));
  const reports = {};
  console.log(`${machineLine(root)}\n`);
  try {
    for (const name of names) {
      const loadBefore = loadText();
      const start = performance.now();
      const report = await runPart(name, mkdtempSync(join(root, `${name}-`)));
      const seconds = Math.round((performance.now() - start) / 1_000);
      reports[name] = { ...report, seconds, load: [loadBefore, loadText()] };
      console.log(
        `## ${report.title}\n\n${report.about} Took ${seconds} s; load before ${loadBefore}, after ${loadText()}.\n`,
      );
      for (const table of report.tables) console.log(`${table}\n`);
    }
  } finally {
    rmSync(root, { recursive: true, force: true });
  }
  console.log(`## Targets\n\n${targetTable(Object.values(reports).flatMap(({ targets }) => targets))}`);
  if (options.json !== undefined) writeFileSync(options.json, `${JSON.stringify(reports, null, 2)}\n`);
}

async function runPart(part, folder) {
  const child = fork(new URL("./part-child.js", import.meta.url), { execArgv: ["--expose-gc"] });
  const settings = { ...(options.quick ? QUICK : FULL), ...roundsGiven(), folder };
  child.send({ part, settings });
  const ended = once(child, "exit").then(([code]) => [{ error: `part ${part} ended with ${code}` }]);
  const [{ report, error }] = await Promise.race([once(child, "message"), ended]);
  if (error !== undefined) throw new Error(error);
  return report;
}

function roundsGiven() {
  if (options.rounds === undefined) return {};
  const rounds = Number(options.rounds);
  if (!Number.isSafeInteger(rounds) || rounds < 1)
    throw new Error(`--rounds takes a whole number from 1 on; received ${options.rounds}`);
  return { rounds, inProcessRounds: rounds };
}
