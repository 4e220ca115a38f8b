import { expect, it } from "vitest";

import { resolveRow, type RowOrder } from "../../../src/engine/corrections/row-orders.ts";
import { beforeLastAttempt, mayHaveCounted } from "../../../src/engine/delivery/attempt-outcomes.ts";
import { limits } from "../../../src/engine/limits.ts";
import type { OutboxRow, RowHistory } from "../../../src/engine/ports.ts";
import { verify } from "../../../src/engine/books/verify.ts";
import { recordingReporter, UNKNOWN, type RecordingReporter } from "../../../src/testing/recording-reporter.ts";
import { onBothStores } from "../both-stores.ts";
import { chat, HOUR, START, world, type World } from "../world.ts";

const REFUSED = { kind: "dead", reason: "no_such_customer: gone", requestId: "req_no" } as const;

type Refusing = World & {
  readonly reporter: RecordingReporter;
  readonly row: () => Promise<OutboxRow | undefined>;
  readonly say: (as: RowOrder) => Promise<unknown>;
};

onBothStores("a refusal of a report that was tried before", (make) => {
  async function due(): Promise<Refusing> {
    const base = world({ store: await make() });
    const { store, clock, take } = base;
    const reporter = recordingReporter({ customers: { acme: "cus_1" } });
    await take(chat("5"));
    clock.advance(2 * HOUR);
    const row = async (): Promise<OutboxRow | undefined> => (await store.outbox({ limit: 1 }))[0];
    const operator = { author: "operator:ann", cause: "asked", dryRun: false };
    const say = (as: RowOrder): Promise<unknown> => resolveRow({ store, rowId: 1, as, ...operator, now: clock.now() });
    return { ...base, reporter, row, say };
  }

  it.each(["an answer was lost", "the process died in the call"])(
    "is a person's after %s: the first try may have been counted",
    async (how) => {
      const { store, catalog, clock, round, reporter, row, say } = await due();
      reporter.answerNext({ counts: true, answer: UNKNOWN });
      const dying = { ...store, settle: () => Promise.reject(new Error("killed")) };
      const isKilled = how === "the process died in the call";
      const end = await round(reporter, isKilled ? { store: dying } : {}).catch(refusalOf);
      expect(end).toMatchObject(isKilled ? { message: "killed" } : { retried: 1 });
      clock.advance(limits.retryMaxMs);
      reporter.answerNext({ counts: false, answer: REFUSED });
      expect(await round(reporter)).toMatchObject({ conflicts: 1, dead: 0 });
      expect(await row()).toMatchObject({
        state: "conflict",
        reason: "earlier attempt unknown; now refused: no_such_customer: gone",
        requestIds: ["req_no"],
      });
      expect(await verify(store, catalog)).toMatchObject({ ok: true, meters: { chat_tokens: { refused: "5" } } });
      await say("delivered");
      expect(await verify(store, catalog)).toMatchObject({
        ok: true,
        meters: { chat_tokens: { reported: "5", refused: "0" } },
      });
      expect(reporter.total("chat_tokens", "cus_1")).toBe("5");
    },
  );

  it("is final when each try before was refused as well, or never left for its key", async () => {
    const { clock, round, reporter, row, say } = await due();
    reporter.answerNext({ counts: false, answer: { kind: "stop", reason: "key" } });
    await round(reporter);
    for (let tries = 0; tries < 2; tries++) {
      reporter.answerNext({ counts: false, answer: REFUSED });
      expect(await round(reporter)).toMatchObject({ dead: 1, conflicts: 0 });
      expect(await row()).toMatchObject({ state: "dead", reason: REFUSED.reason });
      await say("resend");
      clock.advance(HOUR);
    }
  });

  it("is final after the biller's own word that it counted nothing of it", async () => {
    const { store, clock, round, reporter, row, say } = await due();
    reporter.answerNext({ counts: false, answer: { kind: "accepted", requestId: null } });
    await round(reporter);
    const rejected = { to: "dead", reason: "rejected: no customer", author: "webhook" } as const;
    await store.changeRow({ rowId: 1, from: "accepted", ...rejected }, clock.now());
    clock.advance(limits.identifierMemoryMs);
    await say("resend");
    reporter.answerNext({ counts: false, answer: REFUSED });
    expect(await round(reporter)).toMatchObject({ dead: 1, conflicts: 0 });
    expect(await row()).toMatchObject({ state: "dead" });
  });

  it("is a person's when it was taken before and went out again for being missed in the books", async () => {
    const { store, clock, round, reporter } = await due();
    await round(reporter);
    const missed = { to: "pending", reason: "missing", author: "reconcile", resend: true } as const;
    await store.changeRow({ rowId: 1, from: "accepted", ...missed }, clock.now());
    reporter.answerNext({ counts: false, answer: REFUSED });
    expect(await round(reporter)).toMatchObject({ conflicts: 1 });
  });
});

function refusalOf(error: unknown): unknown {
  return error;
}

function line(to: string): RowHistory {
  return { at: START, what: "attempt", to, reason: null, author: null, requestId: null };
}

it("says of a history with fewer calls than the row had that it may have been counted", () => {
  expect(mayHaveCounted([line("dead")], 1)).toBe(false);
  expect(mayHaveCounted([line("dead")], 2)).toBe(true);
  expect(mayHaveCounted([line("stopped"), line("dead")], 1)).toBe(false);
  expect(mayHaveCounted(beforeLastAttempt([line("retry"), line("dead")]), 1)).toBe(true);
  expect(mayHaveCounted(beforeLastAttempt([]), 0)).toBe(false);
});
