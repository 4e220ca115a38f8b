import { expect, it } from "vitest";

import { formatDecimal } from "../../src/core/decimal.ts";
import { verify } from "../../src/engine/books/verify.ts";
import { onBothStores } from "../engine/both-stores.ts";
import { chat, DAY, decimal, HOUR, MINUTE, START } from "../engine/world.ts";
import { seededRandom, type SeededRandom } from "../faults/depth.ts";
import { seconds, subscribedWorld } from "./subscribed-world.ts";

const LENGTH = 2 * DAY;
const STEP = 15 * MINUTE;

/** A subscription that is made at one instant, bills from another (before that when it is backdated) and ends. */
interface Span {
  readonly madeAt: number;
  readonly from: number;
  readonly to: number;
}

/** One after another with gaps; some begin or end in the middle of a minute. */
function spansOf(random: SeededRandom): readonly Span[] {
  const spans: Span[] = [];
  let free = START + random.between(0, 6) * HOUR;
  while (free < START + LENGTH) {
    const from = free + random.between(0, 7_200) * 1_000;
    const backdatedMs = random.next() < 0.3 ? random.between(0, 5) * HOUR : 0;
    const to = from + random.between(6 * 3_600, 30 * 3_600) * 1_000;
    spans.push({ madeAt: from + backdatedMs, from, to });
    free = to + random.between(0, 8) * HOUR;
  }
  return spans;
}

onBothStores("while usage without a subscription is held", (make) => {
  it.each([1, 2, 3, 4])(
    "nothing is sent that lies on no invoice, and nothing is held that would lie on one (%i)",
    async (seed) => {
      const random = seededRandom(seed);
      const billed = await subscribedWorld({ store: await make() });
      const { store, catalog, clock, stripe, take, round, reporter, rows } = billed;
      const spans = spansOf(random);
      const open = [...spans];
      for (let at = START; at <= START + LENGTH + 40 * HOUR; at += STEP) {
        while (open[0] !== undefined && open[0].madeAt <= at) {
          const [{ madeAt, from, to }] = open.splice(0, 1) as [Span];
          clock.set(madeAt);
          const interval = "day" as const;
          const made = { customer: "cus_acme", meters: ["chat_tokens"], interval, anchor: seconds(from) };
          stripe.cancelSubscription(stripe.createSubscription(made).id, to);
        }
        clock.set(at);
        if (at < START + LENGTH)
          await take(chat(String(random.between(1, 99)), { time: at - random.between(0, STEP) }));
        await round(reporter);
      }
      const all = await rows();
      const isBilled = ({ timestamp }: { timestamp: number }): boolean =>
        spans.some(({ from, to }) => from <= timestamp && timestamp < to);
      const wrong = all.filter((row) => (row.state === "accepted") !== isBilled(row));
      expect(wrong.map(({ timestamp, state, reason }) => [new Date(timestamp).toISOString(), state, reason])).toEqual(
        [],
      );
      const invoices = stripe.invoiced();
      expect(invoices.every(({ isFinal }) => isFinal)).toBe(true);
      const onInvoices = invoices.reduce((sum, { quantity }) => sum + decimal(quantity), decimal("0"));
      expect(billed.total()).toBe(formatDecimal(onInvoices));
      expect(Number(billed.total())).toBeGreaterThan(0);
      expect(all.some(({ state }) => state === "held")).toBe(true);
      expect(await verify(store, catalog)).toMatchObject({ ok: true });
    },
    120_000,
  );
});
