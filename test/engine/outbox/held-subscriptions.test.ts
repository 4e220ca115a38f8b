import { describe, expect, it } from "vitest";

import { limits } from "../../../src/engine/limits.ts";
import { openCoverage } from "../../../src/engine/outbox/coverage.ts";
import { releaseHeld } from "../../../src/engine/outbox/held-reports.ts";
import { closeWindows } from "../../../src/engine/outbox/outbox.ts";
import { recordingReporter, type RecordingReporter } from "../../../src/testing/recording-reporter.ts";
import { chat, DAY, HOUR, START } from "../world.ts";
import { closingOf } from "./closing-world.ts";
import { heldWorld, hours, without, type HeldWorld } from "./held-world.ts";

const period = { reportAs: "chat_tokens", from: START - DAY, to: START + 30 * DAY, renews: true };

/** One window of each of these companies, whose customers have no subscription; who is asked for is written down. */
async function unbilled(companies: readonly string[], usage: Parameters<typeof heldWorld>[0] | null = null) {
  const base = await heldWorld(usage ?? companies.map((company) => ({ company })));
  const told = recordingReporter({ customers: Object.fromEntries(companies.map((name) => [name, `cus_${name}`])) });
  told.setPeriods([]);
  const asks: string[] = [];
  const reporter: RecordingReporter = {
    ...told,
    customerPeriods: async (customer) => {
      asks.push(customer);
      return (await told.customerPeriods?.(customer)) ?? null;
    },
  };
  const ask = async (store = base.store): ReturnType<typeof releaseHeld> => {
    asks.length = 0;
    const coverage = openCoverage({ store, reporter, noSubscription: "hold" });
    const { closing, modes } = await closingOf({ ...base, store }, reporter);
    return releaseHeld({ ...closing, asking: coverage.asking }, modes);
  };
  return { ...base, reporter, asks, ask };
}

const reasons = async ({ rows }: HeldWorld): Promise<unknown> =>
  (await rows()).map(({ company, reason }) => [company, reason?.split(":")[0]]);

describe("held rows that no subscription bills", () => {
  it("wait, are counted and say so once, until one does", async () => {
    const base = await unbilled(["a", "b"]);
    expect(await base.ask()).toEqual({ released: 0, held: 2 });
    expect(await reasons(base)).toEqual([
      ["a", "no_subscription"],
      ["b", "no_subscription"],
    ]);
    expect(await base.ask(without(base.store, "hold"))).toEqual({ released: 0, held: 2 });
    base.reporter.setPeriods([{ ...period, customer: "cus_b" }]);
    expect(await base.ask()).toEqual({ released: 1, held: 1 });
    expect(base.asks).toEqual(["cus_a", "cus_b"]);
  });

  it("are asked for in turn, beginning behind the one with whom the round before used up its questions", async () => {
    const most = limits.heldSubscriptionQuestionsMax;
    const names = Array.from({ length: most + 5 }, (_, at) => `c-${100 + at}`);
    const base = await unbilled(names.toReversed());
    const customers = names.map((name) => `cus_${name}`);
    expect(await base.ask()).toEqual({ released: 0, held: names.length });
    expect(base.asks).toEqual(customers.slice(0, most));
    expect(await base.ask()).toEqual({ released: 0, held: names.length });
    expect(base.asks).toEqual([...customers.slice(most), ...customers.slice(0, most - 5)]);
    expect(await base.ask()).toEqual({ released: 0, held: names.length });
    expect(base.asks).toEqual([...customers.slice(most - 5), ...customers.slice(0, most - 10)].slice(0, most));
  });

  it("begin anew only where a round used up its questions", async () => {
    const names = Array.from({ length: limits.heldSubscriptionQuestionsMax - 1 }, (_, at) => `c-${100 + at}`);
    const base = await unbilled(names);
    for (let round = 0; round < 2; round++) {
      await base.ask();
      expect(base.asks).toEqual(names.map((name) => `cus_${name}`));
    }
  });

  it("are counted once each, also where a page of them ends within a window", async () => {
    const windows = hours(Math.ceil(limits.releaseRowsMax / 3) + 3);
    const base = await unbilled(["acme"], windows);
    for (const place of [1, 2]) {
      await base.take(...windows.map(({ time = START }) => chat("1", { time: time + place })));
      const { closing, modes } = await closingOf(base, recordingReporter());
      await closeWindows(closing, modes);
    }
    base.clock.advance(HOUR);
    const count = 3 * windows.length;
    expect(await base.rows()).toHaveLength(count);
    expect(await base.ask()).toEqual({ released: 0, held: count });
    base.reporter.setPeriods([{ ...period, customer: "cus_acme", from: START }]);
    // Those of the newest window.
    expect(await base.ask()).toEqual({ released: 3, held: count - 3 });
  }, 120_000);

  it("are carried into the present period where an operator says so, and only then", async () => {
    const base = await unbilled(["a", "b"]);
    const periods = ["cus_a", "cus_b"].map((customer) => ({ ...period, customer, from: START + 2 * HOUR }));
    base.reporter.setPeriods(periods);
    expect(await base.ask()).toEqual({ released: 0, held: 2 });
    const [row] = await base.rows();
    const order = { from: "held", to: "held", reason: "carry", author: "operator:ann", late: "carry" } as const;
    expect(await base.store.changeRow({ ...order, rowId: row?.rowId ?? 0 }, base.clock.now())).toBe(true);
    expect(await base.ask()).toEqual({ released: 1, held: 1 });
    expect(await base.rows()).toMatchObject([
      { company: "a", state: "pending", late: "carry" },
      { company: "b", state: "held", late: null },
    ]);
  });
});
