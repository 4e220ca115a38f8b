import { expect, it } from "vitest";

import { limits } from "../../../src/engine/limits.ts";
import type { BilledPeriod, UsageReporter } from "../../../src/engine/ports.ts";
import { recordingReporter, UNKNOWN } from "../../../src/testing/recording-reporter.ts";
import { onBothStores } from "../both-stores.ts";
import { chat, DAY, HOUR, hourly, MINUTE, START, world } from "../world.ts";

const settings = { ...hourly, noSubscription: "hold" } as const;
const MANY = 2 * limits.subscriptionQuestionsMax + 10;

onBothStores("reports of more customers than may be asked about in a round", (make) => {
  it("wait for their turn: none is held or read back for want of a question, and each is billed once", async () => {
    const { store, clock, take, round } = world({ store: await make(), settings });
    const names = Array.from({ length: MANY }, (_, at) => `company-${1000 + at}`);
    const base = recordingReporter({ customers: Object.fromEntries(names.map((name) => [name, `cus_${name}`])) });
    const span = { from: START - DAY, to: START + 20 * DAY, renews: true };
    base.setPeriods(
      names.map((name): BilledPeriod => ({ customer: `cus_${name}`, reportAs: "chat_tokens", item: name, ...span })),
    );
    // All of them subscribed after the hour's list was read.
    const reporter: UsageReporter = { ...base, periods: async () => [] };
    await take(...names.map((company) => chat("5", { company })));
    clock.set(START + HOUR + 6 * MINUTE);
    // Each round gives up after some: what was tried and what was not is left for the next ones.
    base.answerNext({ counts: false, answer: UNKNOWN }, 5 * limits.failuresInARowMax);
    for (let rounds = 0; rounds < 30; rounds++) {
      await round(reporter);
      const { held, conflict } = (await store.counts()).outbox;
      expect({ held, conflict }).toEqual({ held: 0, conflict: 0 });
      clock.advance(MINUTE);
    }
    expect((await store.counts()).outbox).toMatchObject({ accepted: MANY, pending: 0, held: 0 });
    expect([base.records.length, base.readings.length]).toEqual([MANY, 0]);
  }, 120_000);
});
