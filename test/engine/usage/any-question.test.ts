import * as fc from "fast-check";
import { expect, it } from "vitest";

import { addValue, AGGREGATE_KINDS, emptyState, resultOf, type AggregateState } from "../../../src/core/aggregation.ts";
import { formatDecimal, fromInteger } from "../../../src/core/decimal.ts";
import type { UsageEvent } from "../../../src/core/event.ts";
import { windowOf, type ZonedWindow } from "../../../src/core/zoned-window.ts";
import type { MeterQuestion, MeterRow } from "../../../src/engine/usage/meter-question.ts";
import { onQuarterStores } from "./quarter-stores.ts";
import { asked, at, attributionOf, catalogWith, customerOf, meterOf, sent } from "./usage-world.ts";

const START = at("2027-10-20T00:00:00Z");
const MINUTE = 60_000;
/** Three weeks: the clocks of Europe and America go back in them. */
const MINUTES = 21 * 1_440;

const meters = AGGREGATE_KINDS.map((aggregate) =>
  meterOf({
    key: aggregate,
    aggregate,
    value: aggregate === "count" ? null : "data.n",
    groupBy: { model: "data.model" },
  }),
);
const attribution = attributionOf(customerOf("c1", "acme", ["phone", "laptop"]), customerOf("c2", null, ["car"]));

interface Shot {
  readonly minute: number;
  readonly n: number;
  readonly model: string;
  readonly subject: string;
}

const shot: fc.Arbitrary<Shot> = fc.record({
  minute: fc.integer({ min: 0, max: MINUTES }),
  n: fc.integer({ min: -3, max: 9 }),
  model: fc.constantFrom("a", "b", "c"),
  subject: fc.constantFrom("phone", "laptop", "acme", "car", "stranger"),
});

function eventOf({ minute, n, model, subject }: Shot): UsageEvent {
  const time = START + minute * MINUTE + 7;
  return sent(time, { n, model }, { subject, company: attribution.companyOf(subject, time) });
}

const window: fc.Arbitrary<ZonedWindow | null> = fc.oneof(
  fc.constant(null),
  fc.constantFrom(...([5, 15, 90, 480] as const).map((count) => ({ unit: "minute", count }) as const)),
  fc.constantFrom(
    ...(["hour", "day", "day", "week", "week", "month", "quarter", "year"] as const).map(
      (unit) => ({ unit, count: 1 }) as const,
    ),
  ),
);
const bound = fc.option(
  fc.oneof(
    fc.integer({ min: -3, max: 24 }).map((day) => START + day * 1_440 * MINUTE),
    fc.integer({ min: 0, max: MINUTES }).map((minute) => START + minute * MINUTE),
  ),
);

const question = fc
  .record({
    meter: fc.constantFrom(...AGGREGATE_KINDS),
    bounds: fc.tuple(bound, bound),
    window,
    zone: fc.constantFrom("UTC", "Europe/Berlin", "America/New_York", "Asia/Kathmandu", "Australia/Lord_Howe"),
    groupBy: fc.subarray(["model", "subject", "customer"]),
    subjects: fc.option(fc.subarray(["phone", "car", "acme", "nobody"])),
    customers: fc.option(fc.subarray(["c1", "c2"], { minLength: 1 })),
    model: fc.option(fc.constantFrom("a", "b", "none")),
  })
  .map(({ bounds: [one, other], subjects, customers, model, ...rest }): MeterQuestion => {
    const [from, to] = one !== null && other !== null && one > other ? [other, one] : [one, other];
    return {
      ...rest,
      fill: false,
      ...(from === null ? {} : { from }),
      ...(to === null || to === from ? {} : { to }),
      ...(subjects === null ? {} : { subjects }),
      ...(customers === null ? {} : { customers }),
      ...(model === null ? {} : { filters: { model: { eq: model } } }),
    };
  });

interface Plain {
  readonly from: number | null;
  readonly subject: string | null;
  readonly customer: string | null;
  readonly group: Readonly<Record<string, string>>;
  state: AggregateState;
}

/** The answer by the plainest way: every event is looked at. */
function plainAnswer(shots: readonly Shot[], asking: MeterQuestion): readonly unknown[] {
  const kind = AGGREGATE_KINDS.find((each) => each === asking.meter) ?? "sum";
  const { from = -Infinity, to = Infinity, groupBy, subjects, customers, filters } = asking;
  const rows = new Map<string, Plain>();
  for (const [order, { minute, n, model, subject }] of shots.entries()) {
    const time = START + minute * MINUTE + 7;
    const customer = attribution.customerOf(attribution.companyOf(subject, time), subject, time)?.id ?? null;
    if (time < from || time >= to) continue;
    if (subjects !== undefined && !subjects.includes(subject)) continue;
    if (customers !== undefined && (customer === null || !customers.includes(customer))) continue;
    if (filters !== undefined && filters["model"]?.eq !== model) continue;
    const key = {
      from: asking.window === null ? null : windowOf(time, asking.window, asking.zone).from,
      subject: subjects !== undefined || groupBy.includes("subject") ? subject : null,
      customer: customers !== undefined || groupBy.includes("customer") ? customer : null,
      group: groupBy.includes("model") ? { model } : {},
    };
    const text = JSON.stringify(key);
    const row = rows.get(text) ?? { ...key, state: emptyState(kind) };
    const value = kind === "unique" ? String(n) : fromInteger(kind === "count" ? 1 : n);
    row.state = addValue(kind, row.state, value, time, order);
    rows.set(text, row);
  }
  return [...rows.values()].map(({ state, ...key }) => {
    const value = resultOf(kind, state);
    return { ...key, value: value === null ? null : formatDecimal(value), events: state.events };
  });
}

function shown({ from, subject, customer, group, value, events }: MeterRow, asking: MeterQuestion): unknown {
  return { from: asking.window === null ? null : from, subject, customer, group, value, events };
}

function sorted(rows: readonly unknown[]): readonly unknown[] {
  return rows.map((row) => JSON.stringify(row)).toSorted();
}

onQuarterStores("any question", (make) => {
  it("has the answer that looking at every event gives", { timeout: 120_000 }, async () => {
    const shots = fc.array(shot, { minLength: 1, maxLength: 60 });
    const questions = fc.array(question, { minLength: 20, maxLength: 20 });
    await fc.assert(
      fc.asyncProperty(shots, questions, async (events, askings) => {
        const { ask, take } = asked(await make(), catalogWith(...meters), attribution);
        await take(...events.map(eventOf));
        for (const asking of askings) {
          const { rows } = await ask(asking);
          const wanted = plainAnswer(events, asking);
          // How many there were of nothing is a row of 0.
          const isNothing = wanted.length === 0 && rows.length === 1 && rows[0]?.events === 0;
          expect(sorted(isNothing ? [] : rows.map((row) => shown(row, asking)))).toEqual(sorted(wanted));
          const places = rows.map(
            ({ from, customer, subject, group }) =>
              [from, customer ?? "", subject ?? "", JSON.stringify(group)] as const,
          );
          expect(places).toEqual(places.toSorted(byPlace));
        }
      }),
      { numRuns: 60, seed: 7 },
    );
  });
});

type Place = readonly [number, string, string, string];

function byPlace(a: Place, b: Place): number {
  for (const [at0, left] of a.entries()) {
    const right = b[at0] ?? left;
    if (left !== right) return left < right ? -1 : 1;
  }
  return 0;
}
