import { expect, it } from "vitest";

import { limits } from "../../../src/engine/limits.ts";
import { recordingReporter } from "../../../src/testing/recording-reporter.ts";
import { onBothStores } from "../both-stores.ts";
import { chat, DAY, HOUR, hourly, MINUTE, START, world } from "../world.ts";

onBothStores("usage that is held for a week", (make) => {
  it("is told once for each company: how much, since when, why and until when", async () => {
    const settings = { ...hourly, noSubscription: "hold" } as const;
    const { clock, take, round, notices } = world({ store: await make(), settings });
    const reporter = recordingReporter({ customers: { acme: "cus_1" } });
    reporter.setPeriods([]);
    await take(chat("5"), chat("7", { time: START + HOUR }));
    clock.set(START + 2 * HOUR + 6 * MINUTE);
    await round(reporter);
    const heldAt = clock.now();
    clock.set(heldAt + limits.heldAlarmMs - 1);
    await take(chat("1", { company: "nobody", time: clock.now() }));
    await round(reporter);
    expect(notices).toEqual([]);
    for (let rounds = 0; rounds < 3; rounds++) {
      clock.advance(MINUTE);
      await round(reporter);
    }
    expect(notices).toEqual([
      {
        code: "METER_USAGE_HELD",
        text: expect.stringMatching(
          /^Usage has been held for more than 7 days: of acme \(2 rows, the oldest of 2026-11-22T10:00:00\.000Z for chat_tokens: no_subscription: cus_1 .*\)\. 34 days /,
        ),
      },
    ]);
    // Another company's turn comes by itself, whatever the reason of its holds.
    clock.advance(limits.heldAlarmMs + 2 * HOUR);
    await round(reporter);
    clock.advance(limits.heldAlarmMs + 2 * HOUR);
    await round(reporter);
    expect(notices.slice(1)).toMatchObject([{ text: expect.stringMatching(/of nobody \(1 row, .*: no_customer\)/) }]);
  });

  it("is told again when it was sent and is held anew, and not where it can never be sent", async () => {
    const { clock, take, round, notices } = world({ store: await make() });
    const reporter = recordingReporter({});
    for (let times = 1; times <= 2; times++) {
      await take(chat("5", { time: clock.now() }));
      clock.advance(2 * HOUR);
      await round(reporter);
      clock.advance(limits.heldAlarmMs);
      await round(reporter);
      expect(notices.filter(({ code }) => code === "METER_USAGE_HELD")).toHaveLength(times);
      reporter.addCustomer("acme", "cus_1");
      clock.advance(DAY);
      await round(reporter);
      reporter.deleteCustomer("cus_1");
      clock.advance(HOUR);
      await round(reporter);
    }
    await take(chat("5", { time: clock.now() - 40 * DAY }));
    clock.advance(limits.heldAlarmMs + DAY);
    await round(reporter);
    clock.advance(limits.heldAlarmMs + DAY);
    await round(reporter);
    expect(notices.filter(({ code }) => code === "METER_USAGE_HELD")).toHaveLength(2);
  });
});
