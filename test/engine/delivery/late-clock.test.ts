import { expect, it } from "vitest";

import { MeterbookError } from "../../../src/core/errors.ts";
import { limits } from "../../../src/engine/limits.ts";
import type { BilledPeriod, UsageReporter } from "../../../src/engine/ports.ts";
import { recordingReporter } from "../../../src/testing/recording-reporter.ts";
import { onBothStores } from "../both-stores.ts";
import { chat, DAY, HOUR, hourly, START, world, type World } from "../world.ts";

const settings = { ...hourly, noSubscription: "hold" } as const;
const OTHERS: BilledPeriod = {
  customer: "cus_other",
  reportAs: "chat_tokens",
  item: "si_other",
  from: START - 10 * DAY,
  to: START + 60 * DAY,
  renews: true,
};

function codes({ notices }: World): readonly string[] {
  return notices.map(({ code }) => code);
}

onBothStores("a round that takes longer than its clock is trusted", (make) => {
  /** Usage held for more than a week, and then a round whose questions are slow; `after` runs while it asks. */
  async function slowRound(after: (own: World) => void, clockFault?: UsageReporter["clockFault"]): Promise<World> {
    const own = world({ store: await make(), settings });
    const { clock, take, round } = own;
    const base = recordingReporter({ customers: { acme: "cus_1" } });
    base.setPeriods([OTHERS]);
    await take(chat("5"));
    clock.set(START + 2 * HOUR);
    await round(base);
    clock.set(START + limits.heldAlarmMs + DAY);
    await take(chat("5", { time: clock.now() - 2 * HOUR }));
    let isSlow = false;
    const slow: UsageReporter = {
      ...base,
      customerPeriods: async (customer) => {
        clock.advance(limits.clockTrustMs + 1);
        isSlow = true;
        after(own);
        return (await base.customerPeriods?.(customer)) ?? null;
      },
      clockFault: async () => (isSlow && clockFault !== undefined ? clockFault() : base.clockFault()),
    };
    await round(slow);
    expect(isSlow).toBe(true);
    return own;
  }
  it("tells of usage that is held for a week all the same", async () => {
    expect(codes(await slowRound(() => undefined))).toContain("METER_USAGE_HELD");
  });

  it("tells of none when the clock has jumped meanwhile", async () => {
    const jumped = await slowRound(
      ({ clock }) => clock.advance(20 * DAY),
      async () => "this machine's clock is 20 days ahead",
    );
    expect(codes(jumped)).not.toContain("METER_USAGE_HELD");
  });

  it("tells when the biller cannot be asked any more, as where it never could", async () => {
    const unreachable = new MeterbookError("METER_STRIPE_UNREACHABLE", "no answer");
    const silent = await slowRound(
      () => undefined,
      () => Promise.reject(unreachable),
    );
    expect(codes(silent)).toContain("METER_USAGE_HELD");
  });
});
