// @ts-check
import { execFileSync } from "node:child_process";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";

import { makeSessions } from "./sessions.js";

// Provision, run, look at the golden records, purge: the tutorial from end to end. `node walk-through.js [folder]`
const config = fileURLToPath(new URL("meterbook.yaml", import.meta.url));
const command = join(dirname(fileURLToPath(import.meta.resolve("meterbook/package.json"))), "dist/cli/main.js");
const folder = resolve(process.argv[2] ?? "botbot-data");
const golden = join(folder, "golden-records.ndjson");
const env = { ...process.env, METER_DB: join(folder, "meter.db"), METER_RECORDS: golden };
mkdirSync(folder, { recursive: true });

/**
 * What a command prints, each line a JSON value.
 * @param {...string} words
 * @returns {any[]}
 */
function meterbook(...words) {
  const text = execFileSync(process.execPath, [command, ...words, "--config", config, "--json"], {
    env,
    encoding: "utf8",
    stdio: ["ignore", "pipe", "inherit"],
  });
  return text
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => JSON.parse(line));
}

/** @type {(list: any[], name: string) => Record<string, number>} */
const countBy = (list, name) =>
  list.reduce((counts, each) => ({ ...counts, [each[name]]: (counts[each[name]] ?? 0) + 1 }), {});

// Helper streams 1 and 2. The records are of August 2024, so the meters begin then.
const provisioned = meterbook("provision", "--since", "2024-08-01");
const made = countBy(
  provisioned.filter(({ change }) => change === "create"),
  "what",
);
console.log(`provisioned: ${made["meter type"]} meter types, ${made["meter"]} meters`);
const again = meterbook("provision", "--since", "2024-08-01");
console.log(`provisioned again: ${again.filter(({ change }) => change !== "keep").length} changes`);

// The stream: validate, deduplicate, meter.
const sessions = makeSessions(20_240_806);
const file = join(folder, "sessions.ndjson");
writeFileSync(file, sessions.map((session) => `${JSON.stringify(session)}\n`).join(""));
const results = meterbook("records", "take", "botbot", file);
const stored = results.filter(({ status }) => status === "stored");
const suspended = stored.filter((result) => result.suspended !== null);
console.log(
  `records: ${results.length}, duplicates: ${results.length - stored.length}, suspended: ${suspended.length}`,
);
console.log(`metered: ${stored.length - suspended.length}`);

// The month is over: one golden record for each meter.
const [{ closing, emission }] = meterbook("records", "close", "--until", "2024-09-01T00:05:00Z");
console.log(`golden records: ${closing.final}, handed over: ${emission.delivered}`);
const records = readFileSync(golden, "utf8")
  .split("\n")
  .filter((line) => line !== "")
  .map((line) => JSON.parse(line))
  .toSorted((a, b) => (`${a.userId} ${a.category}` < `${b.userId} ${b.category}` ? -1 : 1));
for (const { userId, meterTypeName, value, records: count, groups } of records) {
  const [byRegion] = groups[0].breakdowns;
  const regions = byRegion.values.map((/** @type {any} */ each) => `${each.group.region} ${each.value}`).join(", ");
  console.log(`${userId}  ${meterTypeName}  ${value} API requests of ${count} sessions  (${regions})`);
}
console.log(`in all: ${records.reduce((sum, { value }) => sum + Number(value), 0)} API requests`);

// Helper stream 3. What was billed stays.
const [purged] = meterbook("purge", "--guide", "botbot", "--yes");
console.log(`purged: ${purged.meters} meters`);
console.log(`kept: ${meterbook("records", "list").length} golden records`);
const [{ ok }] = meterbook("verify");
console.log(`verify: ${ok ? "all sums match" : "the sums do not match"}`);
