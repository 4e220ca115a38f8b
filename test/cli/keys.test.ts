import { expect, it } from "vitest";

import { cli, records, workspace } from "./cli.ts";

const SLOW = 60_000;
const YAML =
  "version: 1\nstorage: { path: ./meter.db }\nmeters: { runs: { eventType: agent_run, aggregate: count } }\n";
const CREATE = ["keys", "create", "--name", "gateway", "--scope", "ingest", "--json", "--expires"];

it(
  "makes a key that ends a duration from now",
  async () => {
    const before = Date.now();
    const [{ expiresAt } = {}] = records(await cli(workspace(YAML), [...CREATE, "24h"]));
    const end = Date.parse(String(expiresAt));
    expect(end).toBeGreaterThanOrEqual(before + 86_400_000 - 1_000);
    expect(end).toBeLessThanOrEqual(Date.now() + 86_400_000);
  },
  SLOW,
);

it.each([
  ["2020-01-01", "--expires 2020-01-01 is in the past."],
  ["0h", "--expires 0h is in the past."],
  ["999999999d", "--expires 999999999d is after the year 9999."],
  ["tomorrow", '--expires is "tomorrow"'],
])(
  "says why no key can end at %s, and what is taken",
  async (when, message) => {
    const { code, stderr } = await cli(workspace(YAML), [...CREATE, when]);
    expect([code, JSON.parse(stderr)]).toMatchObject([
      1,
      { code: "METER_COMMAND_INVALID", message, remedy: expect.stringContaining("a duration from now (24h)") },
    ]);
  },
  SLOW,
);
