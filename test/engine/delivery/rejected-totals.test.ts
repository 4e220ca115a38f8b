import { expect, it } from "vitest";

import { applyBillerNotice, type NoticeStatus } from "../../../src/engine/delivery/biller-notices.ts";
import { limits } from "../../../src/engine/limits.ts";
import type { OutboxRow, RejectionNotice } from "../../../src/engine/ports.ts";
import { verify, type MeterSums } from "../../../src/engine/books/verify.ts";
import { recordingReporter, UNKNOWN, type RecordingReporter } from "../../../src/testing/recording-reporter.ts";
import { onBothStores } from "../both-stores.ts";
import { chat, HOUR, MINUTE, START, world, type World } from "../world.ts";

const ACCEPTED = { kind: "accepted", requestId: null } as const;

type Totals = World & {
  readonly reporter: RecordingReporter;
  readonly rows: () => Promise<readonly OutboxRow[]>;
  /** Usage of the same hour, and a round in which the next report is answered so. */
  readonly more: (used: string, next?: Parameters<RecordingReporter["answerNext"]>[0]) => Promise<void>;
  /** The biller's later word that it counted nothing of these reports. */
  readonly reject: (...rowIds: readonly number[]) => Promise<NoticeStatus>;
  readonly sums: () => Promise<MeterSums | undefined>;
};

onBothStores("a total that the biller took and rejected later", (make) => {
  async function totals(): Promise<Totals> {
    const base = world({ store: await make() });
    const { store, catalog, clock, take, round } = base;
    const reporter = recordingReporter({ customers: { acme: "cus_1" } });
    reporter.setMeter("chat_tokens", { kind: "ready", keepsLast: "hour" });
    clock.set(START + HOUR + 5 * MINUTE);
    const rows = (): Promise<readonly OutboxRow[]> => store.outbox({ limit: 99 });
    let notices = 0;
    return {
      ...base,
      reporter,
      rows,
      more: async (used, next) => {
        await take(chat(used));
        if (next !== undefined) reporter.answerNext(next);
        await round(reporter);
      },
      reject: async (...rowIds) => {
        const named = (await rows()).filter(({ rowId }) => rowIds.includes(rowId));
        const code = "meter_event_customer_not_found";
        const samples = named.map(({ identifier }) => ({ identifier: identifier ?? "", code, message: "No customer" }));
        const notice: RejectionNotice = {
          kind: "rejection",
          id: `evt_${++notices}`,
          reportAs: "chat_tokens",
          from: clock.now() - 10_000,
          to: clock.now(),
          errorCount: samples.length,
          samples,
        };
        return applyBillerNotice({ store, clock }, notice);
      },
      sums: async () => {
        const verification = await verify(store, catalog);
        expect(verification.differences).toEqual([]);
        return verification.meters["chat_tokens"];
      },
    };
  }

  const uncounted = { counts: false, answer: ACCEPTED } as const;

  it("before the next one was made is not in that", async () => {
    const { more, reject, reporter, sums } = await totals();
    await more("10", uncounted);
    await reject(1);
    await more("5");
    expect(reporter.total("chat_tokens", "cus_1")).toBe("5");
    expect(await sums()).toMatchObject({ accepted: "15", reported: "5", refused: "10", sent: "5" });
  });

  it("after the next one was made, and before that was sent, is taken out of it", async () => {
    const { more, reject, reporter, round, rows, sums } = await totals();
    await more("10", uncounted);
    await more("5", { counts: false, answer: { kind: "stop", reason: "key" } });
    expect((await rows())[1]).toMatchObject({ state: "pending", reported: 15_000_000_000_000n });
    await reject(1);
    for (let rounds = 0; rounds < 3; rounds++) await round(reporter);
    expect(reporter.total("chat_tokens", "cus_1")).toBe("5");
    expect(await sums()).toMatchObject({ reported: "5", refused: "10" });
  });

  it("after the next one was taken is billed by that, and not shown as refused as well", async () => {
    const { more, reject, reporter, rows, sums, store } = await totals();
    await more("10", uncounted);
    await more("5");
    expect(await reject(1)).toBe("taken");
    expect(await reject(1)).toBe("taken");
    expect(reporter.total("chat_tokens", "cus_1")).toBe("15");
    expect((await rows())[0]).toMatchObject({ state: "accepted", reason: expect.stringContaining("row 2") });
    expect(await sums()).toMatchObject({ reported: "15", refused: "0" });
    const lines = (await store.rowHistory(1)).filter(({ author }) => author === "webhook");
    expect(lines).toMatchObject([{ what: "change", to: "accepted" }]);
    await more("3");
    expect(reporter.total("chat_tokens", "cus_1")).toBe("18");
    expect(await sums()).toMatchObject({ reported: "18", refused: "0" });
  });

  it.each([[[1, 2]], [[2, 1]]])(
    "together with the next one (%j) leaves nothing billed and all refused",
    async (order) => {
      const { more, reject, reporter, sums } = await totals();
      await more("10", uncounted);
      await more("5", uncounted);
      for (const rowId of order) await reject(rowId);
      expect(await sums()).toMatchObject({ reported: "0", refused: "15" });
      await more("3");
      expect(reporter.total("chat_tokens", "cus_1")).toBe("3");
      expect(await sums()).toMatchObject({ reported: "3", refused: "15" });
    },
  );

  it("while the next one has no clear answer has to come again", async () => {
    const { clock, more, reject, reporter, round, rows, sums } = await totals();
    await more("10", uncounted);
    await more("5", { counts: true, answer: UNKNOWN });
    expect(await reject(1)).toBe("later");
    expect((await rows())[0]).toMatchObject({ state: "accepted" });
    clock.advance(limits.retryMaxMs);
    await round(reporter);
    expect(await reject(1)).toBe("taken");
    expect(reporter.total("chat_tokens", "cus_1")).toBe("15");
    expect(await sums()).toMatchObject({ reported: "15", refused: "0" });
  });

  it("leaves an earlier one, that the biller holds then, as it is", async () => {
    const { more, reject, reporter, sums } = await totals();
    await more("10");
    await more("5", uncounted);
    await reject(2);
    expect(reporter.total("chat_tokens", "cus_1")).toBe("10");
    expect(await sums()).toMatchObject({ reported: "10", refused: "5" });
    await more("3");
    expect(reporter.total("chat_tokens", "cus_1")).toBe("13");
  });
});
