import { expect, it } from "vitest";

import { limits } from "../../../src/engine/limits.ts";
import { pace } from "../../../src/engine/delivery/pace.ts";
import { reconcile } from "../../../src/engine/reconciliation/reconcile.ts";
import { recordingReporter } from "../../../src/testing/recording-reporter.ts";
import { catalogOf, chat, DAY, HOUR, START, tokens, world } from "../world.ts";

const FAULT = "This machine's clock is 3110400 s ahead of Stripe's; nothing is sent until it is set.";

it("a clock that jumped 36 days ahead closes nothing, calls nothing too old, and says why", async () => {
  const here = world();
  const reporter = recordingReporter({ customers: { acme: "cus_acme" } });
  await here.take(chat("100"));
  here.clock.advance(36 * DAY);
  const summary = await here.round({ ...reporter, clockFault: async () => FAULT });
  expect(summary).toMatchObject({ closed: 0, accepted: 0, stopped: FAULT });
  expect(await here.store.outbox({ limit: 10 })).toEqual([]);
  here.clock.advance(-36 * DAY + 2 * HOUR);
  expect(await here.round(reporter)).toMatchObject({ closed: 1, accepted: 1, stopped: null });
});

it("held usage is not given up by a wrong clock", async () => {
  const here = world();
  const reporter = recordingReporter();
  await here.take(chat("100"));
  here.clock.advance(2 * HOUR);
  expect(await here.round(reporter)).toMatchObject({ closed: 1, held: 1 });
  here.clock.advance(limits.reportAgeMaxMs);
  await here.round({ ...reporter, clockFault: async () => FAULT });
  expect(await here.store.outbox({ state: "held", limit: 10 })).toMatchObject([{ reason: "no_customer" }]);
});

it("usage that got its customer is not called too late for its invoice, and written off, by a wrong clock", async () => {
  const here = world({ catalog: catalogOf({ ...tokens, late: "write_off" }) });
  const reporter = recordingReporter();
  await here.take(chat("100"));
  here.clock.advance(2 * HOUR);
  expect(await here.round(reporter)).toMatchObject({ closed: 1, held: 1 });
  reporter.addCustomer("acme", "cus_acme");
  reporter.setPeriods([{ ...LANE, from: START - DAY, to: START + 6 * HOUR, renews: true }]);
  here.clock.advance(DAY);
  await here.round({ ...reporter, clockFault: async () => FAULT });
  expect(await here.store.outbox({ limit: 10 })).toMatchObject([{ state: "held" }]);
  here.clock.advance(HOUR - DAY);
  expect(await here.round(reporter)).toMatchObject({ released: 1, accepted: 1 });
});

const LANE = { customer: "cus_acme", reportAs: "chat_tokens" };

it("a wrong clock calls no invoice final whose report the books do not show", async () => {
  const here = world();
  const reporter = recordingReporter({ customers: { acme: "cus_acme" } });
  reporter.setPeriods([{ ...LANE, from: START - DAY, to: START + 6 * HOUR, renews: true }]);
  await here.take(chat("100"));
  here.clock.advance(2 * HOUR);
  reporter.answerNext({ counts: false, answer: { kind: "accepted", requestId: null } });
  await here.round(reporter);
  here.clock.advance(DAY);
  const books = { lanes: "due", readOnly: false, graceMs: HOUR, keepLease: async () => true, pace: pace() } as const;
  for (let times = 0; times < 3; times++) {
    const skewed = { ...reporter, clockFault: async () => FAULT };
    expect(await reconcile({ ...here.options(skewed), ...books })).toMatchObject({ stopped: FAULT, changes: [] });
    here.clock.advance(limits.reconcileAgainMs);
  }
  expect(reporter.readings).toEqual([]);
  expect(await here.store.outbox({ limit: 10 })).toMatchObject([{ state: "accepted" }]);
});

it("a round with nothing to decide does not ask for the time", async () => {
  const here = world();
  let asked = 0;
  const reporter = { ...recordingReporter(), clockFault: async () => (asked++, null) };
  await here.take(chat("100", { time: START }));
  await here.round(reporter);
  expect(asked).toBe(0);
  here.clock.advance(2 * HOUR);
  await here.round(reporter);
  expect(asked).toBe(1);
});
