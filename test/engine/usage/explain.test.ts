import { describe, expect, it } from "vitest";

import { assignCompany } from "../../../src/engine/ingest/assign.ts";
import { explainEvent } from "../../../src/engine/usage/explain.ts";
import { previewMeter } from "../../../src/engine/usage/preview.ts";
import { readStatus } from "../../../src/engine/books/status.ts";
import { recordingReporter } from "../../../src/testing/recording-reporter.ts";
import { calls, catalogOf, chat, HOUR, MINUTE, START, tokens, world } from "../world.ts";

describe("explainEvent", () => {
  it("tells what counted, the first failing line, and where it was reported", async () => {
    const { store, catalog, take, clock, round } = world({ catalog: catalogOf(tokens, { ...calls, report: false }) });
    await take(chat("120", { id: "good" }), chat("1", { id: "limited", status: 429 }), chat(null, { id: "empty" }));
    const open = await explainEvent(store, catalog, "good");
    expect(open.verdicts).toMatchObject([
      {
        meter: "chat_tokens",
        counted: true,
        value: "120",
        reason: null,
        window: { from: START, to: START + HOUR },
        record: null,
      },
      { meter: "calls", counted: true, value: "1" },
    ]);
    clock.advance(HOUR + 5 * MINUTE);
    await round(recordingReporter({ customers: { acme: "cus_1" } }));
    const closed = await explainEvent(store, catalog, "good");
    expect(closed.verdicts[0]).toMatchObject({
      record: { state: "accepted", customer: "cus_1", value: "120", sequence: 0, corrections: 0 },
    });
    expect(closed.verdicts[1]).toMatchObject({ counted: true, record: null });
    const limited = await explainEvent(store, catalog, "limited");
    expect(limited.verdicts[0]).toMatchObject({ counted: false, value: null, window: null });
    expect(limited.verdicts[0]?.reason).toContain("response.status is 429");
    expect((await explainEvent(store, catalog, "empty")).verdicts[0]).toMatchObject({
      counted: false,
      held: true,
      reason: expect.stringContaining("missing_value"),
    });
  });

  it("shows an assigned event as it is known now, and says when there is none", async () => {
    const { store, catalog, take } = world();
    await take(chat("2", { id: "x", company: null }));
    expect((await explainEvent(store, catalog, "x")).verdicts).toMatchObject([
      { counted: false, held: true, value: "2" },
    ]);
    await assignCompany({ store, catalog, id: "x", company: "globex", author: "ann", now: START });
    const { event, verdicts } = await explainEvent(store, catalog, "x");
    expect(event.company).toBe("globex");
    expect(verdicts).toMatchObject([{ counted: true, value: "2" }]);
    await expect(explainEvent(store, catalog, "y")).rejects.toMatchObject({ code: "METER_EVENT_NOT_FOUND" });
  });
});

describe("previewMeter", () => {
  const options = { definition: tokens, fields: {}, unknownIdentity: "hold", range: {} } as const;

  it("counts what matched, per company, and why others did not", async () => {
    const { store, take } = world();
    await take(
      chat("10"),
      chat("0.5", { company: "globex" }),
      chat(null),
      chat("1", { status: 429 }),
      chat("1", { status: 429 }),
      chat("1", { route: "/health" }),
    );
    const preview = await previewMeter(store, options);
    expect(preview).toMatchObject({ events: 6, matched: 3, held: 1, missing: 1, total: "10.5", hints: [] });
    expect(preview.companies).toEqual([
      { company: "acme", value: "10", events: 1 },
      { company: "globex", value: "0.5", events: 1 },
    ]);
    expect(preview.skipped.map(({ events }) => events)).toEqual([2, 1]);
    expect(preview.skipped[0]?.reason).toContain("429");
  });

  it("hints at the name that events really have", async () => {
    const { store, take } = world();
    await take(...Array.from({ length: 18 }, () => chat("10")));
    const preview = await previewMeter(store, {
      ...options,
      definition: { ...tokens, value: "response.headers.X-Token-Used" },
    });
    expect(preview.hints).toEqual(["response.headers.x-token-used is in 0 events, x-tokens-used in 18"]);
    expect(preview).toMatchObject({ matched: 18, missing: 18, total: null });
  });
});

describe("readStatus", () => {
  it("counts the chain and says how long usage has waited", async () => {
    const { store, take, clock, round } = world();
    await take(chat("5"), chat(null), chat("2", { company: "nobody-knows" }), chat("1", { time: START + 2 * HOUR }));
    const reporter = recordingReporter({ customers: { acme: "cus_1" } });
    clock.advance(HOUR + 5 * MINUTE);
    await round(reporter);
    const status = await readStatus(store, { backlogBytes: 17, now: clock.now() });
    expect(status).toMatchObject({
      events: 4,
      held: 1,
      backlog: 17,
      outbox: { pending: 0, accepted: 1, dead: 0, held: 1 },
      lag_ms: 0,
    });
    clock.set(START + 3 * HOUR + 10 * MINUTE);
    expect((await readStatus(store, { backlogBytes: 0, now: clock.now() })).lag_ms).toBe(10 * MINUTE);
  });
});
