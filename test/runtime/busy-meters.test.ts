import { expect, it } from "vitest";

import type { IngestCall } from "../../src/engine/intake/accepted.ts";
import { manualClock } from "../../src/testing/manual-clock.ts";
import { hosted } from "../server/hosted-backend.ts";

const EVENTS = 100;

function callOf(place: number): IngestCall {
  const events = Array.from({ length: EVENTS }, (_, at) => ({
    specversion: "1.0",
    id: `${place} ${at}`,
    source: "app",
    type: "prompt",
    subject: `c${at % 50}`,
    data: { tokens: 1, model: `m${at % 3}` },
  }));
  const body = Buffer.from(JSON.stringify(events));
  return { body, contentType: "application/cloudevents-batch+json", headers: {}, atomic: false };
}

it("a meter is made, and grouped anew, while events arrive without a pause", { timeout: 120_000 }, async () => {
  const { backend, node } = await hosted({ clock: manualClock(Date.UTC(2027, 1, 2)) });
  let sentCalls = 0;
  const send = async (): Promise<void> => void (await backend.ingest(callOf(sentCalls++)));
  for (let call = 0; call < 200; call += 1) await send();
  const over = new AbortController();
  const stream = async (): Promise<void> => {
    while (!over.signal.aborted) await send();
  };
  const streams = [stream(), stream(), stream()];
  const draft = { key: "tokens", eventType: "prompt", aggregate: "sum" as const, value: "data.tokens" };
  try {
    await backend.createMeter({ draft, author: "test" });
    await backend.updateMeter({ idOrKey: "tokens", patch: { groupBy: { model: "data.model" } }, author: "test" });
  } finally {
    over.abort();
    await Promise.all(streams);
  }
  const answer = await backend.queryMeter({ meter: "tokens", window: null, zone: "UTC", groupBy: [], fill: false });
  expect(answer.rows.map(({ value }) => value)).toEqual([String(sentCalls * EVENTS)]);
  expect((await node.store.counts()).events).toBe(sentCalls * EVENTS);
});
