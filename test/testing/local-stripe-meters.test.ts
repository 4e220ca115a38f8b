import { describe, expect, it } from "vitest";
import { failure, NOON_SECONDS, seeded, withLocalStripe } from "./running-stripe.ts";

const TOKENS = { display_name: "Tokens", event_name: "tokens", default_aggregation: { formula: "sum" } } as const;

describe("meters", () => {
  it("[meter.create] [meter.retrieve] fills Stripe's defaults", async () => {
    await withLocalStripe({}, async ({ client }) => {
      const made = await client.billing.meters.create(TOKENS);
      expect(made).toMatchObject({
        object: "billing.meter",
        status: "active",
        event_time_window: null,
        customer_mapping: { event_payload_key: "stripe_customer_id", type: "by_id" },
        value_settings: { event_payload_key: "value" },
        status_transitions: { deactivated_at: null },
        created: NOON_SECONDS,
      });
      const own = await client.billing.meters.create({
        ...TOKENS,
        event_name: "own",
        default_aggregation: { formula: "last" },
        customer_mapping: { type: "by_id", event_payload_key: "who" },
        value_settings: { event_payload_key: "much" },
        event_time_window: "hour",
      });
      expect(await client.billing.meters.retrieve(own.id)).toMatchObject({
        event_time_window: "hour",
        customer_mapping: { event_payload_key: "who" },
        value_settings: { event_payload_key: "much" },
        default_aggregation: { formula: "last" },
      });
    });
  });

  it("[meter.event_name_taken] [meter.not_found] has one meter per event name", async () => {
    await withLocalStripe({}, async ({ client }) => {
      await client.billing.meters.create(TOKENS);
      expect(await failure(client.billing.meters.create(TOKENS))).toMatchObject({ status: 400, param: "event_name" });
      const missing = await failure(client.billing.meters.retrieve("mtr_none"));
      expect(missing).toMatchObject({ status: 404, code: "resource_missing", message: "No such meter: 'mtr_none'" });
    });
  });

  it("[meter.update] lets only the display name change", async () => {
    await withLocalStripe({}, async ({ client, clock }) => {
      const { id } = await client.billing.meters.create(TOKENS);
      clock.advance(5_000);
      const renamed = await client.billing.meters.update(id, { display_name: "New" });
      expect(renamed).toMatchObject({ display_name: "New", event_name: "tokens", updated: NOON_SECONDS + 5 });
      // @ts-expect-error the client's types know it too
      const other = await failure(client.billing.meters.update(id, { event_name: "x" }));
      expect(other).toMatchObject({ status: 400, code: "parameter_unknown" });
    });
  });

  it("[meter.list] [meter.deactivate] [meter.reactivate] [meter.same_status] switches status", async () => {
    await withLocalStripe({}, async ({ client }) => {
      const first = await client.billing.meters.create(TOKENS);
      const second = await client.billing.meters.create({ ...TOKENS, event_name: "calls" });
      const ids = async (status?: "active" | "inactive"): Promise<readonly string[]> =>
        (await client.billing.meters.list(status === undefined ? {} : { status })).data.map(({ id }) => id);
      expect(await ids()).toEqual([second.id, first.id]);
      const off = await client.billing.meters.deactivate(first.id);
      expect(off).toMatchObject({ status: "inactive", status_transitions: { deactivated_at: NOON_SECONDS } });
      expect([await ids("active"), await ids("inactive")]).toEqual([[second.id], [first.id]]);
      expect((await failure(client.billing.meters.deactivate(first.id))).status).toBe(400);
      const on = await client.billing.meters.reactivate(first.id);
      expect(on).toMatchObject({ status: "active", status_transitions: { deactivated_at: null } });
    });
  });
});

describe("summaries", () => {
  it("[summary.range] [summary.number] [summary.empty] takes in the start and leaves out the end", async () => {
    await withLocalStripe({}, async (running) => {
      const { meter, customer, send } = seeded(running);
      const at = NOON_SECONDS - 3_600;
      await send("0.1", { timestamp: at - 1 });
      await send("0.2", { timestamp: at });
      await send("0.1", { timestamp: at + 59 });
      await send("5", { timestamp: at + 60 });
      const list = async (start: number, end: number): Promise<readonly unknown[]> =>
        (
          await running.client.billing.meters.listEventSummaries(meter, { customer, start_time: start, end_time: end })
        ).data.map(({ aggregated_value, start_time, end_time }) => [aggregated_value, start_time, end_time]);
      expect(await list(at, at + 60)).toEqual([[0.3, at, at + 60]]);
      expect(await list(at + 60, at + 120)).toEqual([[5, at + 60, at + 120]]);
      expect(await list(at + 120, at + 180)).toEqual([]);
      expect(running.local.total("tokens", customer)).toBe("5.4");
    });
  });

  it("[summary.grouping] [summary.order] [page.cursor] groups by UTC hour or day, newest first, in pages", async () => {
    await withLocalStripe({}, async (running) => {
      const { meter, customer, send } = seeded(running);
      const midnight = NOON_SECONDS - 12 * 3_600;
      for (const hour of [0, 1, 5]) {
        await send("1", { timestamp: midnight + hour * 3_600 });
        await send("2", { timestamp: midnight + hour * 3_600 + 3_599 });
      }
      const span = { customer, start_time: midnight - 86_400, end_time: midnight + 86_400 };
      const hours: unknown[] = [];
      for await (const each of running.client.billing.meters.listEventSummaries(meter, {
        ...span,
        value_grouping_window: "hour",
        limit: 2,
      })) {
        hours.push([each.start_time - midnight, each.aggregated_value]);
      }
      expect(hours).toEqual([
        [5 * 3_600, 3],
        [3_600, 3],
        [0, 3],
      ]);
      const days = await running.client.billing.meters.listEventSummaries(meter, {
        ...span,
        value_grouping_window: "day",
      });
      expect(days.data).toMatchObject([{ start_time: midnight, end_time: midnight + 86_400, aggregated_value: 9 }]);
    });
  });

  it("[summary.unaligned] wants minutes, and hours or days when grouped", async () => {
    await withLocalStripe({}, async (running) => {
      const { meter, customer } = seeded(running);
      const ask = async (
        start_time: number,
        end_time: number,
        value_grouping_window?: "hour" | "day",
      ): Promise<unknown> =>
        (
          await failure(
            running.client.billing.meters.listEventSummaries(meter, {
              customer,
              start_time,
              end_time,
              ...(value_grouping_window && { value_grouping_window }),
            }),
          )
        ).param;
      expect(await ask(NOON_SECONDS + 1, NOON_SECONDS + 60)).toBe("start_time");
      expect(await ask(NOON_SECONDS, NOON_SECONDS + 61)).toBe("end_time");
      expect(await ask(NOON_SECONDS, NOON_SECONDS)).toBe("end_time");
      expect(await ask(NOON_SECONDS, NOON_SECONDS + 60, "hour")).toBe("end_time");
      expect(await ask(NOON_SECONDS - 86_400, NOON_SECONDS, "day")).toBe("start_time");
      expect(
        await failure(
          running.client.billing.meters.listEventSummaries(meter, {
            customer: "cus_none",
            start_time: 0,
            end_time: 60,
          }),
        ),
      ).toMatchObject({ status: 400, code: "resource_missing" });
    });
  });

  it("[summary.lag] shows an event only after the lag, while the ledger has it at once", async () => {
    await withLocalStripe({ summaryLagMs: 120_000 }, async (running) => {
      const { meter, customer, send } = seeded(running);
      await send("3");
      const values = async (): Promise<readonly number[]> =>
        (
          await running.client.billing.meters.listEventSummaries(meter, {
            customer,
            start_time: NOON_SECONDS,
            end_time: NOON_SECONDS + 60,
          })
        ).data.map((each) => each.aggregated_value);
      expect(await values()).toEqual([]);
      expect(running.local.ledger()).toMatchObject([{ value: "3", events: 1 }]);
      running.clock.advance(119_999);
      expect(await values()).toEqual([]);
      running.clock.advance(1);
      expect(await values()).toEqual([3]);
    });
  });
});
