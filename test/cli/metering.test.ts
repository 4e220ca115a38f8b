import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import { expect, it } from "vitest";

import { cli, records, workspace } from "./cli.ts";

const YAML = `version: 1
storage: { path: ./meter.db }
meters: {}
meterTypes:
  Prints: { category: printing, capacity: "100", thresholds: [{ name: full, capacityPercentage: "100" }] }
guides:
  prints:
    userId: data.printer
    value: data.sheets
    timestamp: data.at
    dedupeBy: data.job
    validate: { data.tray: [A4, A3] }
    rules:
      all: { category: printing, groupBy: [[data.tray]] }
customerMeters:
  - { userId: P-7, meterType: Prints, guide: prints }
records:
  sinks:
    archive: { kind: file, path: ./records.csv, format: csv }
`;

const job = (number: number, changes: object = {}): string =>
  `${JSON.stringify({ job: `j${number}`, printer: "P-7", sheets: 60, tray: "A4", at: "2024-08-02T00:00:00Z", ...changes })}\n`;

it("provision, records, held replay and purge do the whole round, and say what they did", async () => {
  const folder = workspace(YAML);
  const plan = await cli(folder, ["provision", "--dry-run", "--since", "2024-08-01"]);
  expect(plan.stdout).toContain("+ meter P-7 · Prints · prints");
  expect(plan.stdout).toContain("3 would be made, 0 would be changed, 0 things as wanted.");
  const made = records(await cli(folder, ["provision", "--since", "2024-08-01", "--json"]));
  expect(made.map(({ what, change, applied }) => [what, change, applied])).toEqual([
    ["meter type", "create", true],
    ["guide", "create", true],
    ["meter", "create", true],
  ]);
  expect((await cli(folder, ["provision"])).stdout).toBe("0 made, 0 changed, 3 things as wanted.\n");

  writeFileSync(join(folder, "jobs.ndjson"), [job(1), job(1), job(2, { tray: "B5" }), "\n", job(3)].join(""));
  const taken = await cli(folder, ["records", "take", "prints", "jobs.ndjson"]);
  expect(taken.stdout.split("\n")).toEqual([
    "4 records: 3 stored, 1 duplicate, 0 conflicts",
    "2 counted, 1 suspended",
    '  invalid_record: 1, such as: data.tray is "B5", wants one of "A4", "A3"',
    "",
  ]);
  const held = await cli(folder, ["held"]);
  expect(held.stdout).toMatch(/j2 .* prints_records .* invalid_record .* data\.tray is "B5", wants one of "A4", "A3"/);
  expect(held.stdout.match(/^j2 /gm)).toHaveLength(1);
  expect(held.stderr).toContain("meterbook held replay");
  const still = await cli(folder, ["held", "replay", "j2", "--set", "data.tray=B4", "--dry-run"]);
  expect([still.code, still.stdout]).toEqual([
    1,
    'j2 would be suspended again: data.tray is "B4", wants one of "A4", "A3"\n',
  ]);
  const operator = ["--by", "ann", "--cause", "a misprint"];
  const replayed = await cli(folder, ["held", "replay", "j2", "--set", "data.tray=A3", ...operator]);
  expect([replayed.code, replayed.stdout]).toEqual([0, expect.stringMatching(/^j2 counts as j2~[0-9a-f]+\n$/)]);
  expect((await cli(folder, ["held"])).stdout).toBe("Nothing is held, refused or in conflict.\n");

  const closed = records(await cli(folder, ["records", "close", "--until", "2024-09-02", "--json"]));
  expect(closed[0]).toMatchObject({ closing: { final: 1 }, emission: { failed: 0, postponed: 0 } });
  const listed = records(await cli(folder, ["records", "list", "--kind", "final", "--json"]));
  expect(listed).toMatchObject([{ value: "180", records: 3, thresholds: [{ name: "full" }] }]);
  expect(readFileSync(join(folder, "records.csv"), "utf8")).toContain(",Prints,prints,printing,,sum,180,3,");

  const early = records(await cli(folder, ["records", "list", "--kind", "threshold", "--json"]));
  expect(early).toMatchObject([{ value: "120", sinks: [{ sink: "archive", state: "delivered" }] }]);
  expect((await cli(folder, ["records", "list", "--failed"])).stdout).toBe("None failed.\n");
  expect((await cli(folder, ["records", "requeue"])).stdout).toContain("0 records on the way again");
  expect((await cli(folder, ["records", "meters"])).stdout).toMatch(
    /P-7 +Prints +prints +2024-09-01 – 2024-10-01 +0 +0/,
  );

  writeFileSync(join(folder, "more.ndjson"), [4, 5].map((number) => job(number, { tray: "B5" })).join(""));
  await cli(folder, ["records", "take", "prints", "more.ndjson"]);
  const none = await cli(folder, ["held", "replay", "--guide", "prints", ...operator]);
  expect(none.stdout).toBe("0 records read again, 0 still suspended.\n");
  const all = [
    "held",
    "replay",
    "--guide",
    "prints",
    "--reason",
    "invalid_record",
    "--set",
    "data.tray=A4",
    ...operator,
  ];
  expect((await cli(folder, all)).stdout).toContain("2 records read again, 0 still suspended.");

  const unasked = await cli(folder, ["purge"]);
  expect([unasked.code, unasked.stderr]).toEqual([1, expect.stringContaining("Say --yes to delete them")]);
  expect((await cli(folder, ["purge", "--dry-run"])).stdout).toContain("1 meter would be deleted");
  expect((await cli(folder, ["purge", "--type", "Prints", "--yes"])).stdout).toContain("1 meter deleted");
  expect((await cli(folder, ["purge", "--yes"])).stdout).toContain("0 meters would be deleted");
  expect(records(await cli(folder, ["verify", "--json"]))[0]).toMatchObject({ ok: true });
}, 120_000);

it("records that fit no rule are told as such, and not as counted", async () => {
  const conditional = YAML.replace(
    "{ category: printing, groupBy",
    "{ when: { data.tray: [A4] }, category: printing, groupBy",
  );
  const folder = workspace(conditional);
  await cli(folder, ["provision", "--since", "2024-08-01"]);
  writeFileSync(join(folder, "jobs.ndjson"), [job(1), job(2, { tray: "A3" }), job(3, { printer: "P-8" })].join(""));
  const taken = await cli(folder, ["records", "take", "prints", "jobs.ndjson"]);
  expect(taken.stdout).toContain(
    "3 records: 3 stored, 0 duplicates, 0 conflicts\n1 counted, 1 suspended, 1 fit no rule\n",
  );
  expect(taken.stderr).toContain("guides.prints.rules");
  const held = records(await cli(folder, ["held", "--limit", "1", "--json"]));
  expect(held).toMatchObject([{ id: "j3", reason: "no_meter", detail: "P-8 has no meter of the category printing" }]);
}, 120_000);

it("provision and records say what is wrong with a call", async () => {
  const bare = workspace("version: 1\nstorage: { path: ./meter.db }\nmeters: {}\n");
  expect((await cli(bare, ["provision"])).stderr).toContain("The configuration has nothing to provision.");
  const folder = workspace(YAML);
  expect((await cli(folder, ["check"])).stdout).toBe(
    "✓ 0 meters; to provision: 1 meter type, 1 guide, 1 customer's meter\n",
  );
  expect(records(await cli(folder, ["check", "--json"]))[0]).toMatchObject({
    provisions: { meterTypes: ["Prints"], guides: ["prints"], customerMeters: 1 },
  });
  writeFileSync(join(folder, "good.ndjson"), job(1));
  const early = await cli(folder, ["records", "take", "prints", "good.ndjson"]);
  expect([early.code, early.stderr]).toEqual([1, expect.stringContaining("Run `meterbook provision` to make it")]);
  await cli(folder, ["provision"]);
  expect((await cli(folder, ["records", "take", "fleet", "good.ndjson"])).stderr).toContain(
    'There is no guide "fleet".\nRun `meterbook provision`',
  );
  const misspelt = await cli(folder, ["purge", "--guide", "print", "--yes"]);
  expect([misspelt.code, misspelt.stderr]).toEqual([
    1,
    expect.stringContaining('There is no guide "print".\nDid you mean "prints"?'),
  ]);
  expect((await cli(folder, ["purge", "--type", "Print", "--yes"])).stderr).toContain('Did you mean "Prints"?');
  writeFileSync(join(folder, "bad.ndjson"), `${job(1)}{`);
  expect((await cli(folder, ["records", "take", "prints", "bad.ndjson"])).stderr).toContain(
    "Line 2 of bad.ndjson is not JSON",
  );
  expect((await cli(folder, ["records", "take", "prints", "none.ndjson"])).stderr).toContain(
    "none.ndjson cannot be read",
  );
  expect((await cli(folder, ["records", "take", "other", "bad.ndjson"])).stderr).not.toBe("");
}, 120_000);
