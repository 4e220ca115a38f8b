import { expect, it } from "vitest";

import { applyBillerNotice } from "../../../src/engine/delivery/biller-notices.ts";
import { limits } from "../../../src/engine/limits.ts";
import { resolveRow } from "../../../src/engine/corrections/row-orders.ts";
import { recordingReporter } from "../../../src/testing/recording-reporter.ts";
import { onBothStores, type MakeStore } from "../both-stores.ts";
import { chat, HOUR, MINUTE, START, world } from "../world.ts";

const REFUSED = { kind: "dead", reason: "refused_400", requestId: null } as const;
const refusal = { code: "METER_CORRECTION_REFUSED" };

async function desk(make: MakeStore, keepsLast: "hour" | null) {
  const own = world({ store: await make() });
  const reporter = recordingReporter({ customers: { acme: "cus_1" } });
  reporter.setMeter("chat_tokens", { kind: "ready", keepsLast });
  await own.take(chat("10"));
  own.clock.set(START + HOUR + 5 * MINUTE);
  const resend = async (dryRun: boolean) =>
    resolveRow({
      store: own.store,
      rowId: (await own.store.outbox({ limit: 1 }))[0]?.rowId ?? 0,
      as: "resend",
      author: "operator:ann",
      cause: "it was refused",
      now: own.clock.now(),
      dryRun,
    });
  return { ...own, reporter, resend, total: () => reporter.total("chat_tokens", "cus_1") };
}

onBothStores("a report that an operator wants to go out again", (make) => {
  it("never takes the place of a newer total of its window", async () => {
    const { take, round, reporter, resend, total } = await desk(make, "hour");
    reporter.answerNext({ counts: false, answer: REFUSED });
    await round(reporter);
    await take(chat("15", { time: START + MINUTE }));
    await round(reporter);
    expect(total()).toBe("15");
    for (const dryRun of [true, false]) await expect(resend(dryRun)).rejects.toMatchObject(refusal);
    await round(reporter);
    expect(total()).toBe("15");
  });

  it("goes out as a total while nothing else came into its window", async () => {
    const { round, reporter, resend, total } = await desk(make, "hour");
    reporter.answerNext({ counts: false, answer: REFUSED });
    await round(reporter);
    expect(await resend(false)).toMatchObject({ to: "pending", applied: true });
    await round(reporter);
    expect(total()).toBe("10");
  });

  it("is not answered as delivered from the memory of what Stripe refused after taking it", async () => {
    const { store, clock, round, reporter, resend, total } = await desk(make, null);
    // Taken with a 200, and refused when it came to be counted.
    reporter.answerNext({ counts: false, answer: { kind: "accepted", requestId: null } });
    await round(reporter);
    const [row] = await store.outbox({ limit: 1 });
    const sample = { identifier: row?.identifier ?? "", code: "meter_event_customer_not_found", message: "" };
    const told = { id: "evt_1", reportAs: "chat_tokens", from: START, to: clock.now(), errorCount: 1 };
    await applyBillerNotice({ store, clock }, { kind: "rejection", ...told, samples: [sample] });
    for (const dryRun of [true, false]) await expect(resend(dryRun)).rejects.toMatchObject(refusal);
    clock.advance(limits.identifierMemoryMs);
    expect(await resend(false)).toMatchObject({ to: "pending", applied: true });
    await round(reporter);
    expect(total()).toBe("10");
  });
});
