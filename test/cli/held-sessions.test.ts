import { expect, it } from "vitest";

import { cli, workspace } from "./cli.ts";
import { served } from "./served.ts";

const SLOW = 120_000;
const YAML = `version: 1
storage: { path: ./meter.db }
meters:
  runs: { eventType: agent_run, aggregate: count }
`;

it(
  "held list says that sessions wait for a decision, and who shows them",
  async () => {
    const directory = workspace(YAML);
    const { url, stop } = await served(directory);
    expect((await cli(directory, ["held", "list"])).stdout).toBe("Nothing is held, refused or in conflict.\n");
    const ended = await fetch(`${url}/v1/sessions/end`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ tenant_id: "acme", meter_id: "machine_hours", session_id: "s1", time: Date.now() }),
    });
    expect([ended.status, await ended.text()]).toEqual([200, expect.stringContaining("end_without_start")]);
    await stop("SIGTERM");
    const { code, stdout, stderr } = await cli(directory, ["held", "list"]);
    expect([code, stderr + stdout]).toEqual([0, expect.stringContaining("1 session held")]);
    expect(stderr + stdout).toContain("GET /v1/sessions?state=held");
    expect(stdout).not.toContain("Nothing is held");
  },
  SLOW,
);
