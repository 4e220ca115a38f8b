import { expect, it, onTestFinished } from "vitest";

import { createMeter } from "../../src/engine/meters/create-meter.ts";
import { ingest } from "../../src/engine/ingest/ingest.ts";
import { openNode } from "../../src/runtime/node.ts";
import { registryTools } from "../../src/engine/registry/registry-tools.ts";
import { systemClock, systemRandom } from "../../src/runtime/system.ts";
import { threads } from "./served-threads.ts";

const DAY = 86_400_000;

it("a meter's past that a killed process left half counted is counted by the next service", async () => {
  const { settings, link, remote } = threads();
  await link.ready(60_000);
  const node = await openNode({
    settings,
    clock: systemClock,
    ownWriter: null,
    adoptFrom: null,
    onNotice: () => undefined,
  });
  onTestFinished(() => node.close());
  const now = systemClock.now();
  const events = Array.from({ length: 40 }, (_, at) => ({
    source: "s",
    id: `e${at}`,
    type: "made",
    time: now - at * DAY,
    company: "acme",
    user: null,
  }));
  await ingest(node.store, node.catalog, events, now);
  let steps = 0;
  // The store is gone in the middle of the past, as at a kill.
  const dying = {
    ...node.store,
    replay: (order: Parameters<typeof node.store.replay>[0]) =>
      (steps += 1) > 1 ? Promise.reject(new Error("killed")) : node.store.replay(order),
  };
  const draft = { key: "made", eventType: "made", aggregate: "count" } as const;
  const tools = registryTools(dying, systemClock, systemRandom);
  await expect(createMeter(tools, { draft, author: "test" }, { bucketsMax: 3 })).rejects.toThrow("killed");
  const counted = async (): Promise<unknown> => {
    const { rows } = await remote.backend.queryMeter({
      meter: "made",
      window: null,
      zone: "UTC",
      groupBy: [],
      fill: false,
    });
    return rows[0]?.value;
  };
  await remote.backend.figures({});
  while ((await counted()) !== "40") await new Promise(setImmediate);
  expect(await counted()).toBe("40");
}, 60_000);
