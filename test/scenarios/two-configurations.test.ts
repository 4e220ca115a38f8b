import { existsSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import { meter } from "meterbook";
import { describe, expect, it, onTestFinished } from "vitest";

import type { UsageEvent } from "../../src/core/event.ts";
import { rebuild } from "../../src/engine/books/rebuild.ts";
import { verify } from "../../src/engine/books/verify.ts";
import { loadConfig } from "../../src/runtime/load-config.ts";
import { openNode, type MeterNode } from "../../src/runtime/node.ts";
import { manualClock } from "../../src/testing/manual-clock.ts";
import { CHAT_YAML, cli, records, workspace } from "../cli/cli.ts";

const HOUR_MS = 3_600_000;
const START = Date.UTC(2026, 10, 22, 10);
const EDITED_YAML = CHAT_YAML.replace("response.status: 200", "response.status: 201");

function chatLine(id: string, time: number, status: number): string {
  const event: UsageEvent = {
    source: "test",
    id,
    type: "http.request",
    time,
    company: "acme",
    user: null,
    request: { route: "/chat" },
    response: { status, headers: { "x-tokens-used": "5" } },
  };
  return JSON.stringify({ kind: "event", event, open: [] });
}

describe("two processes with different files on one database", () => {
  const clock = manualClock(START);
  async function nodeOf(directory: string, file: string, adoptFrom: number | null): Promise<MeterNode> {
    const { settings } = loadConfig({ config: file, directory, env: {} });
    const node = await openNode({ settings, clock, ownWriter: null, adoptFrom, onNotice: () => undefined });
    onTestFinished(() => node.close());
    return node;
  }

  it("count by the file of the app that started last, and the books stay right", async () => {
    const directory = workspace(CHAT_YAML);
    writeFileSync(join(directory, "edited.yaml"), EDITED_YAML);
    const old = await nodeOf(directory, "meterbook.yaml", clock.now());
    old.memory.push([chatLine("1", START, 200), chatLine("2", START, 201)]);
    expect(await old.drainAll()).toBe(2);

    clock.advance(HOUR_MS);
    const command = await nodeOf(directory, "edited.yaml", null);
    expect(command.differs).toEqual(["chat_tokens"]);
    const now = START + HOUR_MS;
    old.memory.push([chatLine("3", now, 200), chatLine("4", now, 201)]);
    expect(await old.drainAll()).toBe(2);
    expect(old.catalog.revision).toBe(2);

    clock.advance(HOUR_MS);
    const young = await nodeOf(directory, "edited.yaml", clock.now());
    const later = START + 2 * HOUR_MS;
    // The old process goes on, now by the new meters; what happened before keeps the old ones.
    old.memory.push([chatLine("5", later, 200), chatLine("6", later, 201), chatLine("7", now, 200)]);
    expect(await old.drainAll()).toBe(3);
    expect(old.catalog.revision).toBe(3);
    young.memory.push([chatLine("8", later, 201)]);
    expect(await young.drainAll()).toBe(1);

    // A command that was open all the time takes the new meters when it verifies.
    const sums = await command.counting((catalog) => verify(command.store, catalog));
    expect(sums).toMatchObject({ ok: true, events: 8, meters: { chat_tokens: { accepted: "25" } } });
    expect(await rebuild(old.store, old.catalog, { apply: true })).toMatchObject({ differences: [] });
  });
});

it("a command adopts no edit: it says so, and the app puts it into force", async () => {
  const directory = workspace(CHAT_YAML);
  const config = join(directory, "meterbook.yaml");
  const app = async (): Promise<void> => {
    const metering = meter({ config, report: false });
    metering.track("export_done", { companyId: "acme" });
    await metering.close();
  };
  await app();
  expect(existsSync(join(directory, "meter.db"))).toBe(true);
  writeFileSync(config, CHAT_YAML.replace("  exports:\n    eventType: export_done\n    aggregate: count\n", ""));

  const hint =
    /meterbook\.yaml differs from what the app counts by \(exports\); edits take effect when the app starts\./;
  for (const command of [["usage"], ["status"], ["verify"]]) {
    const told = await cli(directory, command);
    expect(told).toMatchObject({ code: 0 });
    expect(told.stderr.match(new RegExp(hint, "g"))).toHaveLength(1);
  }
  expect((await cli(directory, ["doctor"])).stdout).toMatch(hint);

  await app();
  const verified = await cli(directory, ["verify", "--json"]);
  expect(verified.stderr).toBe("");
  // Tracked under the second app, whose file has no such meter: it is kept, and nothing counts it.
  expect(records(verified)[0]).toMatchObject({ ok: true, events: 2, meters: { exports: { accepted: "1" } } });
});
