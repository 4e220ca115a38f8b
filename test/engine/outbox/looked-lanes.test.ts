import { expect, it } from "vitest";

import { limits } from "../../../src/engine/limits.ts";
import type { BilledPeriod, Store, UsageReporter } from "../../../src/engine/ports.ts";
import { recordingReporter } from "../../../src/testing/recording-reporter.ts";
import { onBothStores } from "../both-stores.ts";
import { catalogOf, chat, DAY, HOUR, hourly, MINUTE, START, tokens, world } from "../world.ts";

const holding = { ...hourly, noSubscription: "hold" } as const;
const PERIOD: BilledPeriod = {
  customer: "cus_acme",
  reportAs: "chat_tokens",
  item: "si_1",
  from: START - 20 * DAY,
  to: START - 10 * DAY,
  renews: false,
};
/** Of somebody else: the biller tells of subscriptions. */
const OTHER: BilledPeriod = { ...PERIOD, customer: "cus_other", item: "si_o", to: START + 30 * DAY };

/** Three hours of acme that nothing bills, and how many rows of it each round reads to release them. */
async function unbilledLane(store: Store, options: Parameters<typeof world>[0] = {}) {
  const reads: number[] = [];
  const counting: Store = {
    ...store,
    outbox: async (query) => {
      const rows = await store.outbox(query);
      if (query.state === "held" && query.final === false && query.company === "acme") reads.push(rows.length);
      return rows;
    },
  };
  const own = world({ settings: holding, ...options, store: counting });
  const told = recordingReporter({ customers: { acme: "cus_acme" } });
  told.setPeriods([OTHER]);
  // Questions about acme are answered only where the test says so: what is known is the list of all.
  let isAnswered = false;
  const reporter: UsageReporter = {
    ...told,
    customerPeriods: async (customer) =>
      isAnswered ? ((await told.customerPeriods?.(customer)) ?? null) : { present: [], earlier: [] },
  };
  const read = async (): Promise<number> => {
    reads.length = 0;
    await own.round(reporter);
    return reads.reduce((sum, rows) => sum + rows, 0);
  };
  await own.take(...[0, 1, 2].map((hour) => chat("5", { time: START + hour * HOUR })));
  own.clock.set(START + 3 * HOUR + 10 * MINUTE);
  await own.round(reporter);
  return { ...own, told, read, answer: (answered: boolean) => void (isAnswered = answered) };
}

onBothStores("rows that wait for a subscription", (make) => {
  it("are not read while nothing is told of their customer", async () => {
    const { clock, read, store } = await unbilledLane(await make());
    for (let rounds = 0; rounds < 3; rounds++) {
      clock.advance(MINUTE);
      expect(await read()).toBe(0);
    }
    expect((await store.counts()).outbox.held).toBe(3);
  });

  it("are read once when the known periods changed, and sent when one covers them", async () => {
    const { clock, read, told, store } = await unbilledLane(await make());
    told.setPeriods([OTHER, PERIOD]);
    clock.advance(MINUTE);
    expect(await read()).toBe(3);
    clock.advance(MINUTE);
    expect(await read()).toBe(0);
    told.setPeriods([OTHER, { ...PERIOD, from: START + HOUR, to: START + 30 * DAY }]);
    clock.advance(MINUTE);
    expect(await read()).toBe(3);
    expect((await store.counts()).outbox).toMatchObject({ held: 1, accepted: 2 });
    clock.advance(MINUTE);
    expect(await read()).toBe(0);
  });

  it("are read as often as a question about them brings something, and sent by what it brings", async () => {
    const { clock, read, told, answer, store } = await unbilledLane(await make());
    told.setPeriods([OTHER, PERIOD]);
    clock.advance(MINUTE);
    await read();
    answer(true);
    clock.advance(MINUTE);
    expect(await read()).toBe(3);
    told.setPeriods([OTHER, PERIOD, { ...PERIOD, item: "si_2", from: START, to: START + 30 * DAY }]);
    clock.advance(MINUTE);
    expect(await read()).toBe(3);
    expect((await store.counts()).outbox).toMatchObject({ held: 0, accepted: 3 });
  });

  it("are read when their company got another customer, whose name they bear then", async () => {
    const { clock, read, told, store } = await unbilledLane(await make());
    told.deleteCustomer("cus_acme");
    told.addCustomer("acme", "cus_new");
    clock.advance(limits.customerListEveryMs);
    expect(await read()).toBe(3);
    expect((await store.outbox({ limit: 9 })).every(({ reason }) => reason?.includes("cus_new"))).toBe(true);
    clock.advance(MINUTE);
    expect(await read()).toBe(0);
  });

  it("are read once a day all the same, so that what grew too old is carried where that is wanted", async () => {
    const catalog = catalogOf({ ...tokens, late: "carry" });
    const { clock, read, told, store } = await unbilledLane(await make(), { catalog });
    told.setPeriods([OTHER, { ...PERIOD, from: START + 3 * HOUR, to: START + 60 * DAY }]);
    clock.advance(MINUTE);
    expect(await read()).toBe(3);
    clock.advance(MINUTE);
    expect(await read()).toBe(0);
    clock.set(START + 35 * DAY);
    expect(await read()).toBe(3);
    expect((await store.counts()).outbox).toMatchObject({ held: 0, accepted: 3 });
  });

  it("are read when the operator says that all usage is to be sent", async () => {
    const { clock, read, told, store, catalog } = await unbilledLane(await make());
    told.setPeriods([OTHER, PERIOD]);
    clock.advance(MINUTE);
    await read();
    const sending = world({ store, catalog, settings: hourly });
    sending.clock.set(clock.now() + MINUTE);
    expect(await sending.round(told)).toMatchObject({ released: 3, accepted: 3 });
  });
});
