import { expect, it } from "vitest";

import { clockTrust } from "../../../src/engine/delivery/clock-trust.ts";
import { limits } from "../../../src/engine/limits.ts";
import { pace } from "../../../src/engine/delivery/pace.ts";
import { reconcile } from "../../../src/engine/reconciliation/reconcile.ts";
import { recordingReporter, UNKNOWN } from "../../../src/testing/recording-reporter.ts";
import { manualClock } from "../../../src/testing/manual-clock.ts";
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

it("trusts instants close behind one that agreed, and asks again for all others", async () => {
  const clock = manualClock(START);
  const answers: (string | null)[] = [];
  let asked = 0;
  const trust = clockTrust({ clockFault: async () => (asked++, answers.shift() ?? null) }, clock);
  expect([trust.covers(START), trust.agreedAt()]).toEqual([false, null]);
  expect(await trust.renew()).toBeNull();
  expect(trust.agreedAt()).toBe(START);
  const { clockTrustMs } = limits;
  expect([0, clockTrustMs, clockTrustMs + 1, -1].map((ms) => trust.covers(START + ms))).toEqual([
    true,
    true,
    false,
    false,
  ]);
  clock.advance(clockTrustMs / 2);
  expect([await trust.renew(), asked]).toEqual([null, 1]);
  clock.advance(1);
  expect([await trust.renew(), asked]).toEqual([null, 2]);
  clock.advance(-1);
  answers.push(FAULT);
  expect([await trust.renew(), trust.isWrong(), trust.covers(clock.now())]).toEqual([FAULT, true, false]);
  expect([await trust.renew(), trust.isWrong(), asked]).toEqual([null, false, 4]);
});

it("asks again when the clock jumps while it is asked for, and trusts nothing when it jumps each time", async () => {
  const clock = manualClock(START);
  const jumps = [25 * HOUR, 0];
  const trust = clockTrust({ clockFault: async () => (clock.advance(jumps.shift() ?? -HOUR), null) }, clock);
  expect(await trust.renew()).toBeNull();
  expect(trust.agreedAt()).toBe(START + 25 * HOUR);
  expect(await trust.renew("now")).toContain("jumped");
  expect([trust.isWrong(), trust.agreedAt()]).toEqual([true, null]);
});

/** A clock that is wrong after `jump`, and a reporter that tells so when it is asked. */
function jumpOf(here: ReturnType<typeof world>, reporter: ReturnType<typeof recordingReporter>) {
  let jumpMs = 0;
  const clock = { now: () => here.clock.now() + jumpMs };
  const asked = { ...reporter, clockFault: async () => (jumpMs === 0 ? null : FAULT) };
  return { clock, asked, jump: (ms: number): void => void (jumpMs = ms) };
}

it("a clock that jumps while the books are read makes nothing of what they say", async () => {
  const here = world();
  const reporter = recordingReporter({ customers: { acme: "cus_acme" } });
  await here.take(chat("100"));
  here.clock.advance(2 * HOUR);
  reporter.answerNext({ counts: false, answer: UNKNOWN });
  await here.round(reporter);
  here.clock.advance(DAY);
  const { clock, asked, jump } = jumpOf(here, reporter);
  const counted: typeof asked.counted = async () => (jump(36 * DAY), []);
  await here.round({ ...asked, counted }, { clock });
  expect(await here.store.outbox({ limit: 10 })).toMatchObject([{ state: "pending", absentSince: null }]);
  jump(0);
  expect(await here.round(asked, { clock })).toMatchObject({ conflicts: 0, waiting: 1 });
});

it("a clock that jumps while customers are listed closes no window early and gives up nothing that is held", async () => {
  const here = world();
  const reporter = recordingReporter({});
  await here.take(chat("100"));
  here.clock.advance(2 * HOUR);
  await here.round(reporter);
  await here.take(chat("7", { time: here.clock.now() }));
  here.clock.advance(limits.customerListEveryMs);
  const { clock, asked, jump } = jumpOf(here, reporter);
  const jumping = {
    ...asked,
    async *customers() {
      jump(36 * DAY);
      yield* reporter.customers();
    },
  };
  expect(await here.round(jumping, { clock })).toMatchObject({ closed: 0 });
  expect(await here.store.outbox({ limit: 10 })).toMatchObject([{ state: "held", reason: "no_customer" }]);
});
