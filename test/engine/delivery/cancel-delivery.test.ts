import { expect, it } from "vitest";

import { formatDecimal } from "../../../src/core/decimal.ts";
import { cancelReport } from "../../../src/engine/corrections/cancel.ts";
import { resolveRow } from "../../../src/engine/corrections/row-orders.ts";
import { limits } from "../../../src/engine/limits.ts";
import type { OutboxRow } from "../../../src/engine/ports.ts";
import { verify } from "../../../src/engine/books/verify.ts";
import { recordingReporter, UNKNOWN, type RecordingReporter } from "../../../src/testing/recording-reporter.ts";
import { onBothStores } from "../both-stores.ts";
import { chat, HOUR, MINUTE, START, world, type World } from "../world.ts";

type Cancelling = World & { readonly reporter: RecordingReporter; readonly rows: () => Promise<readonly OutboxRow[]> };

onBothStores("a row that takes a report back", (make) => {
  /** A report of 5 is at the biller since `acceptedAt`, and an operator orders it to be cancelled. */
  async function ordered(): Promise<Cancelling & { readonly acceptedAt: number }> {
    const base = world({ store: await make() });
    const { store, clock, take, round } = base;
    const reporter = recordingReporter({ customers: { acme: "cus_1" } });
    await take(chat("5"));
    clock.set(START + HOUR + 5 * MINUTE);
    await round(reporter);
    const rows = (): Promise<readonly OutboxRow[]> => store.outbox({ limit: 99 });
    const [row] = await rows();
    const order = { store, report: String(row?.rowId), author: "operator:ann", cause: "wrong", dryRun: false };
    await cancelReport({ ...order, now: clock.now() });
    return { ...base, reporter, rows, acceptedAt: row?.acceptedAt ?? 0 };
  }

  it("goes out again after a lost answer, however old, and its usage is not reported meanwhile", async () => {
    const { store, catalog, clock, round, reporter, rows, acceptedAt } = await ordered();
    reporter.answerNext({ counts: true, answer: UNKNOWN }, 2);
    await round(reporter);
    clock.advance(limits.retryMaxMs);
    expect(await round(reporter)).toMatchObject({ closed: 0, retried: 1 });
    clock.set(acceptedAt + limits.cancelMs - 1_000);
    await round(reporter);
    await round(reporter);
    expect(reporter.cancels).toHaveLength(3);
    expect(new Set(reporter.cancels.map(({ idempotencyKey }) => idempotencyKey)).size).toBe(1);
    expect(reporter.cancels[0]?.idempotencyKey).not.toBe(reporter.calls[0]?.idempotencyKey);
    expect((await rows()).map(({ kind, state, value }) => [kind, state, formatDecimal(value)])).toEqual([
      ["usage", "accepted", "5"],
      ["cancel", "accepted", "-5"],
      ["usage", "accepted", "5"],
    ]);
    expect(reporter.total("chat_tokens", "cus_1")).toBe("5");
    expect(reporter.readings).toEqual([]);
    expect(await verify(store, catalog)).toMatchObject({ ok: true, meters: { chat_tokens: { reported: "5" } } });
  });

  it("is dead a day after the report was accepted, and the report is not billed a second time", async () => {
    const { store, catalog, clock, take, round, reporter, rows, acceptedAt } = await ordered();
    reporter.answerNext({ counts: false, answer: { kind: "stop", reason: "key" } });
    await round(reporter);
    clock.set(acceptedAt + limits.cancelMs);
    expect(await round(reporter)).toMatchObject({ dead: 1 });
    await round(reporter);
    await take(chat("2", { time: START + 1 }));
    await round(reporter);
    expect((await rows()).map(({ kind, state, value }) => [kind, state, formatDecimal(value)])).toEqual([
      ["usage", "accepted", "5"],
      ["cancel", "dead", "-5"],
      ["usage", "dead", "5"],
      ["usage", "accepted", "2"],
    ]);
    expect(reporter.total("chat_tokens", "cus_1")).toBe("7");
    expect(await verify(store, catalog)).toMatchObject({
      ok: true,
      meters: { chat_tokens: { reported: "7", refused: "0" } },
    });
  });

  it("is a person's when it was tried and a day has passed: it may be cancelled", async () => {
    const { store, catalog, clock, take, round, reporter, rows, acceptedAt } = await ordered();
    reporter.answerNext({ counts: true, answer: UNKNOWN });
    await round(reporter);
    clock.set(acceptedAt + limits.cancelMs);
    expect(await round(reporter)).toMatchObject({ conflicts: 1 });
    await take(chat("2", { time: START + 1 }));
    // Until that is decided it is not known what the window owes.
    expect(await round(reporter)).toMatchObject({ closed: 0 });
    expect((await rows()).map(({ state }) => state)).toEqual(["accepted", "conflict"]);
    expect(await verify(store, catalog)).toMatchObject({ ok: true });
  });

  it("that the biller refuses leaves the report as it is", async () => {
    const { clock, round, reporter, rows } = await ordered();
    reporter.answerNext({ counts: false, answer: { kind: "dead", reason: "no such event", requestId: "req_9" } });
    await round(reporter);
    await round(reporter);
    clock.advance(HOUR);
    await round(reporter);
    expect((await rows()).map(({ kind, state, reason }) => [kind, state, reason])).toEqual([
      ["usage", "accepted", null],
      ["cancel", "dead", "no such event"],
      ["usage", "dead", "cancel_refused"],
    ]);
    expect(reporter.total("chat_tokens", "cus_1")).toBe("5");
  });

  it("that the biller refuses after a call without an answer is a person's: the report may be cancelled", async () => {
    const { store, catalog, clock, round, reporter, rows } = await ordered();
    reporter.answerNext({ counts: true, answer: UNKNOWN });
    await round(reporter);
    clock.advance(limits.retryMaxMs);
    reporter.answerNext({ counts: false, answer: { kind: "dead", reason: "no such event", requestId: null } });
    expect(await round(reporter)).toMatchObject({ conflicts: 1, dead: 0 });
    expect((await rows())[1]).toMatchObject({ reason: "earlier attempt unknown; now refused: no such event" });
    const said = { store, rowId: 2, author: "operator:ann", cause: "not in the books", dryRun: false };
    await resolveRow({ ...said, as: "delivered", now: clock.now() });
    for (let rounds = 0; rounds < 2; rounds++) await round(reporter);
    expect(reporter.total("chat_tokens", "cus_1")).toBe("5");
    expect(await verify(store, catalog)).toMatchObject({ ok: true, meters: { chat_tokens: { reported: "5" } } });
  });

  it.each(["before its first call", "after a call without an answer"])(
    "finds nothing to cancel when the biller rejects the report %s, and says that",
    async (when) => {
      const { store, catalog, clock, round, reporter, rows } = await ordered();
      if (when !== "before its first call") {
        reporter.answerNext({ counts: true, answer: UNKNOWN });
        await round(reporter);
        clock.advance(limits.retryMaxMs);
      }
      const cancels = reporter.cancels.length;
      const rejected = { to: "dead", reason: "rejected: meter_event_no_customer_defined", author: "webhook" } as const;
      await store.changeRow({ rowId: 1, from: "accepted", ...rejected }, clock.now());
      expect(await round(reporter)).toMatchObject({ dead: 1, conflicts: 0 });
      for (let rounds = 0; rounds < 2; rounds++) await round(reporter);
      expect(reporter.cancels.length).toBe(cancels);
      expect((await rows()).map(({ kind, state, reason }) => [kind, state, reason])).toEqual([
        ["usage", "dead", rejected.reason],
        ["cancel", "dead", `nothing_to_cancel: row 1 is not at the biller: dead (${rejected.reason})`],
        ["usage", "dead", "cancel_refused"],
      ]);
      expect(await verify(store, catalog)).toMatchObject({
        ok: true,
        meters: { chat_tokens: { accepted: "5", reported: "0", refused: "5" } },
      });
    },
  );

  it("waits while its report goes out again, and is a person's while that is", async () => {
    const { store, catalog, clock, round, reporter, rows } = await ordered();
    const missing = { author: "reconcile", reason: "missing in the biller's books" };
    await store.changeRow({ rowId: 1, from: "accepted", to: "pending", resend: true, ...missing }, clock.now());
    reporter.answerNext({ counts: false, answer: UNKNOWN });
    await round(reporter);
    expect((await rows()).map(({ state }) => state)).toEqual(["pending", "pending"]);
    clock.advance(limits.retryMaxMs);
    for (let rounds = 0; rounds < 3; rounds++) await round(reporter);
    expect((await rows()).map(({ kind, state }) => [kind, state])).toEqual([
      ["usage", "accepted"],
      ["cancel", "accepted"],
      ["usage", "accepted"],
    ]);
    expect(reporter.total("chat_tokens", "cus_1")).toBe("5");
    expect(await verify(store, catalog)).toMatchObject({ ok: true, meters: { chat_tokens: { reported: "5" } } });

    const other = await ordered();
    await other.store.changeRow({ rowId: 1, from: "accepted", to: "conflict", ...missing }, other.clock.now());
    expect(await other.round(other.reporter)).toMatchObject({ conflicts: 1, dead: 0 });
    expect((await other.rows())[1]).toMatchObject({ state: "conflict", reason: expect.stringContaining("row 1") });
    expect(other.reporter.cancels).toEqual([]);
    const said = { store: other.store, author: "operator:ann", cause: "seen", dryRun: false, now: other.clock.now() };
    await resolveRow({ ...said, rowId: 1, as: "delivered" });
    await resolveRow({ ...said, rowId: 2, as: "resend" });
    for (let rounds = 0; rounds < 3; rounds++) await other.round(other.reporter);
    expect(other.reporter.total("chat_tokens", "cus_1")).toBe("5");
    expect(other.reporter.cancels).toHaveLength(1);
    expect(await verify(other.store, other.catalog)).toMatchObject({ ok: true });
  });
});
