import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

import { expect, it, onTestFinished } from "vitest";

import type { UsageEvent } from "../../src/core/event.ts";
import { loadConfig } from "../../src/runtime/load-config.ts";
import { openNode } from "../../src/runtime/node.ts";
import { takeEvents } from "../../src/runtime/refused-event.ts";
import { CHAT_YAML, workspace } from "../cli/cli.ts";

const event = (id: string, time: number): UsageEvent => ({
  source: "s",
  id,
  type: "export_done",
  time,
  company: "acme",
  user: null,
});

it("keeps the one event that cannot be stored in a file, tells it, and stores the others", async () => {
  const directory = workspace(CHAT_YAML);
  const { settings } = loadConfig({ config: "meterbook.yaml", directory, env: {} });
  const notices: string[] = [];
  const clock = { now: () => Date.UTC(2026, 10, 22) };
  const node = await openNode({ settings, clock, ownWriter: null, adoptFrom: 0, onNotice: () => undefined });
  onTestFinished(() => node.close());
  const root = join(directory, "journals");
  const intake = {
    store: node.store,
    root,
    now: clock.now,
    onNotice: ({ code }: { code: string }) => notices.push(code),
  };
  await takeEvents(intake, node.catalog, [event("a", clock.now()), event("b/..", 0.5), event("c", clock.now())]);
  const stored = await node.store.events({ order: "oldest", limit: 9 });
  expect(stored.map((each) => each.event.id)).toEqual(["a", "c"]);
  expect(notices).toEqual(["METER_EVENT_REFUSED"]);
  const [file] = readdirSync(join(root, "quarantine"));
  expect(JSON.parse(readFileSync(join(root, "quarantine", String(file)), "utf8"))).toEqual(event("b/..", 0.5));
});
