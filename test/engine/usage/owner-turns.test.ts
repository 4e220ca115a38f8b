import * as fc from "fast-check";
import { expect, it } from "vitest";

import type { UsageEvent } from "../../../src/core/event.ts";
import { windowOf } from "../../../src/core/zoned-window.ts";
import { loadAttribution } from "../../../src/engine/registry/attribution.ts";
import { createCustomer, deleteCustomer, updateCustomer } from "../../../src/engine/registry/customers.ts";
import type { MeterAnswer, MeterQuestion } from "../../../src/engine/usage/meter-question.ts";
import { isMeterbookError } from "../../../src/core/errors.ts";
import { AUTHOR, deskOf, type Desk } from "../registry-desk.ts";
import { onQuarterStores } from "./quarter-stores.ts";
import { asked, at, catalogWith, meterOf, sent } from "./usage-world.ts";

const MINUTE = 60_000;
const DAY = at("2027-02-02T00:00:00Z");
const catalog = catalogWith(meterOf());

const draftOf = (key: string, subjects: readonly string[]) => ({ key, name: key, subjects });

/** One thing that happens: usage of a subject, or a change of who has what. */
type Step =
  | { readonly what: "usage" | "free" | "end"; readonly name: string }
  | { readonly what: "give"; readonly name: string; readonly to: string };

const name = fc.constantFrom("acme", "globex", "s1", "s2");
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 6, arbitrary: fc.record({ what: fc.constant("usage" as const), name }) },
  {
    weight: 2,
    arbitrary: fc.record({
      what: fc.constant("give" as const),
      name: fc.constantFrom("s1", "s2"),
      to: fc.constantFrom("acme", "globex"),
    }),
  },
  fc.record({ what: fc.constantFrom("free" as const, "end" as const), name: fc.constantFrom("acme", "globex") }),
);

/** Makes the change where it can be made. */
async function change(desk: Desk, each: Step): Promise<void> {
  const customers = (await desk.attribution()).customers();
  const known = customers.find(
    ({ key, deletedAt }) => key === ("to" in each ? each.to : each.name) && deletedAt === null,
  );
  try {
    if (each.what === "end") await deleteCustomer(desk, { idOrKey: each.name, author: AUTHOR });
    else if (each.what === "free")
      await updateCustomer(desk, { idOrKey: each.name, draft: draftOf(each.name, []), author: AUTHOR });
    else if (each.what === "give" && known !== undefined)
      await updateCustomer(desk, { idOrKey: each.to, draft: draftOf(each.to, [each.name]), author: AUTHOR });
    else if (each.what === "give") await createCustomer(desk, { draft: draftOf(each.to, [each.name]), author: AUTHOR });
  } catch (error) {
    if (!isMeterbookError(error)) throw error;
  }
}

function figures({ rows }: MeterAnswer, isCut: boolean): readonly string[] {
  return rows
    .map(({ from, customer, value }) => `${isCut ? new Date(from).toISOString() : ""} ${customer} ${value}`)
    .toSorted();
}

onQuarterStores("usage of names that change hands", (make) => {
  it("of one day is each customer's for its own time, also by the day", async () => {
    const desk = deskOf(await make());
    const { store, clock } = desk;
    const takes = async (subject: string, n: number): Promise<void> => {
      const company = (await desk.attribution()).companyOf(subject, clock.now());
      await asked(store, catalog).take(sent(clock.now(), { n }, { subject, company }));
    };
    clock.set(DAY + 600 * MINUTE);
    const first = await createCustomer(desk, { draft: draftOf("acme", []), author: AUTHOR });
    await takes("acme", 1);
    clock.advance(MINUTE);
    await deleteCustomer(desk, { idOrKey: "acme", author: AUTHOR });
    clock.advance(MINUTE);
    await takes("acme", 10);
    clock.advance(100 * MINUTE);
    const { ask } = asked(store, catalog, await loadAttribution(store));
    const day = { unit: "day", count: 1 } as const;
    const nobodys = figures(await ask({ groupBy: ["customer"], window: day }), false);
    expect(nobodys).toEqual([` ${first.id} 1`, " null 10"]);
    const second = await createCustomer(desk, { draft: draftOf("acme", []), author: AUTHOR });
    await takes("acme", 100);
    const after = asked(store, catalog, await loadAttribution(store));
    for (const window of [null, day]) {
      const both = figures(await after.ask({ groupBy: ["customer"], window }), false);
      expect(both).toEqual([` ${first.id} 1`, ` ${second.id} 110`].toSorted());
      expect(figures(await after.ask({ groupBy: [], window, customers: [second.id] }), false)).toEqual([
        ` ${second.id} 110`,
      ]);
    }
  });

  it("is what looking at every event says, whatever is changed when", { timeout: 120_000 }, async () => {
    const steps = fc.array(fc.tuple(fc.integer({ min: 1, max: 400 }), step), { minLength: 4, maxLength: 30 });
    await fc.assert(
      fc.asyncProperty(steps, async (all) => {
        const desk = deskOf(await make());
        desk.clock.set(DAY);
        const events: UsageEvent[] = [];
        for (const [minutes, each] of all) {
          desk.clock.advance(minutes * MINUTE);
          const time = desk.clock.now();
          if (each.what !== "usage") await change(desk, each);
          else {
            const company = (await desk.attribution()).companyOf(each.name, time);
            events.push(sent(time, { n: events.length + 1 }, { subject: each.name, company }));
          }
        }
        const attribution = await loadAttribution(desk.store);
        const { ask, take } = asked(desk.store, catalog, attribution);
        await take(...events);
        for (const unit of ["day", "hour", null] as const) {
          const window = unit === null ? null : ({ unit, count: 1 } as const);
          const sums = new Map<string, number>();
          for (const [place, { company, subject, time }] of events.entries()) {
            const begin = window === null ? "" : new Date(windowOf(time, window, "UTC").from).toISOString();
            const owner = attribution.customerOf(company ?? "", subject ?? "", time)?.id ?? null;
            const key = `${begin} ${owner}`;
            sums.set(key, (sums.get(key) ?? 0) + place + 1);
          }
          const wanted = [...sums].map(([key, sum]) => `${key} ${sum}`).toSorted();
          const question: Partial<MeterQuestion> = { window, groupBy: ["customer"] };
          expect(figures(await ask(question), window !== null)).toEqual(wanted);
          for (const { id } of attribution.customers()) {
            const own = wanted.filter((text) => text.split(" ")[1] === id);
            expect(figures(await ask({ window, groupBy: [], customers: [id] }), window !== null)).toEqual(own);
          }
        }
      }),
      { numRuns: 60, seed: 11 },
    );
  });
});
