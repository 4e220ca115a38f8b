import * as fc from "fast-check";
import { expect, it } from "vitest";

import { formatDecimal } from "../../../src/core/decimal.ts";
import { acceptEvents } from "../../../src/engine/intake/accept.ts";
import { listEvents } from "../../../src/engine/intake/event-list.ts";
import type { Store } from "../../../src/engine/ports.ts";
import { onBothStores } from "../both-stores.ts";
import { START } from "../world.ts";
import { batchCall, cloudEvent, owners, sentCatalog, sentTokens } from "./intake-world.ts";

const catalog = sentCatalog({ ...sentTokens, groupBy: {} });
const nobody = owners({});

/** One event as the random calls have it; a negative figure stands for an event that is rejected. */
interface Sent {
  readonly source: string;
  readonly id: string;
  readonly subject: string;
  readonly tokens: number;
}

interface SentCall {
  readonly atomic: boolean;
  readonly events: readonly Sent[];
}

/** The simplest right answer: a map from identity to what was sent first. */
function naive(calls: readonly SentCall[]): { readonly statuses: readonly string[][]; readonly kept: readonly Sent[] } {
  const kept = new Map<string, Sent>();
  const statuses = calls.map(({ atomic, events }) => {
    const next = new Map(kept);
    const found = events.map((event) => {
      if (event.tokens < 0) return "rejected";
      const key = identity(event);
      const known = next.get(key);
      if (known === undefined) {
        next.set(key, event);
        return "stored";
      }
      return known.subject === event.subject && known.tokens === event.tokens ? "duplicate" : "conflict";
    });
    const isWhole = !found.some((status) => status === "conflict" || status === "rejected");
    if (!atomic || isWhole) for (const [key, event] of next) kept.set(key, event);
    return found;
  });
  return { statuses, kept: [...kept.values()] };
}

const sent: fc.Arbitrary<Sent> = fc.record({
  source: fc.constantFrom("a", "a:b"),
  id: fc.constantFrom("b:c", "c", "d", "E", "e"),
  subject: fc.constantFrom("ann", "bob"),
  tokens: fc.constantFrom(1, 2, 3, -1),
});
const calls = fc.array(fc.record({ atomic: fc.boolean(), events: fc.array(sent, { maxLength: 5 }) }), { maxLength: 6 });

function identity({ source, id }: { readonly source: string; readonly id: string }): string {
  return JSON.stringify([source, id]);
}

function httpCall({ atomic, events }: SentCall) {
  const bodies = events.map(({ tokens, ...named }) =>
    cloudEvent({ ...named, data: { tokens }, ...(tokens < 0 ? { specversion: "0.1" } : {}) }),
  );
  return batchCall(bodies, { atomic });
}

function sums(events: readonly Sent[]): Readonly<Record<string, number>> {
  const totals: Record<string, number> = {};
  for (const { subject, tokens } of events) totals[subject] = (totals[subject] ?? 0) + tokens;
  return totals;
}

async function usage(store: Store): Promise<Readonly<Record<string, number>>> {
  const buckets = await store.buckets({});
  const totals = buckets.map(({ company, state }) => [company, Number(formatDecimal(state.value ?? 0n))] as const);
  return Object.fromEntries(totals);
}

onBothStores("random calls", (make) => {
  it("get the answers, and make the usage, of a simple model", { timeout: 120_000 }, async () => {
    const store = await make();
    let run = 0;
    const property = fc.asyncProperty(calls, async (random) => {
      // A name of its own for each run makes one store serve all of them.
      run += 1;
      const named = random.map(({ atomic, events }) => ({
        atomic,
        events: events.map((event) => ({ ...event, id: `${event.id}/${run}`, subject: `${event.subject}/${run}` })),
      }));
      const expected = naive(named);
      const replies = await acceptEvents(store, catalog, nobody, named.map(httpCall), START);
      const statuses = replies.map((reply) =>
        (reply.kind === "results" ? reply.results : []).map(({ status }) => status),
      );
      expect(statuses).toEqual(expected.statuses);
      // Read-your-writes: nothing lies between the answer and the question.
      const mine = Object.entries(await usage(store)).filter(([company]) => company.endsWith(`/${run}`));
      expect(Object.fromEntries(mine)).toEqual(sums(expected.kept));
      const listed = await listEvents(store, catalog, nobody, { subjectPart: `/${run}`, limit: 100 });
      const exact = listed.events.filter(({ subject }) => subject?.endsWith(`/${run}`));
      expect(exact.map(({ event }) => identity(event)).toSorted()).toEqual(expected.kept.map(identity).toSorted());
    });
    expect(await fc.check(property, { numRuns: 80 })).toMatchObject({ failed: false, errorInstance: null });
  });

  it("give the same usage in whatever portions the events come, repeats included", { timeout: 60_000 }, async () => {
    const events = fc.array(
      sent.filter(({ tokens }) => tokens > 0),
      { minLength: 1, maxLength: 12 },
    );
    let run = 0;
    const store = await make();
    const property = fc.asyncProperty(
      events,
      fc.infiniteStream(fc.integer({ min: 1, max: 4 })),
      async (random, sizes) => {
        run += 1;
        const unique = new Map(random.map((event) => [identity(event), event]));
        const named = [...unique.values()].map((event) => ({
          ...event,
          id: `${event.id}/${run}`,
          subject: `s/${run}`,
        }));
        for (const repeat of [1, 2]) {
          for (let at = 0; at < named.length;) {
            const size = repeat === 1 ? sizes.next().value : named.length;
            await acceptEvents(
              store,
              catalog,
              nobody,
              [httpCall({ atomic: false, events: named.slice(at, at + size) })],
              START,
            );
            at += size;
          }
        }
        expect((await usage(store))[`s/${run}`]).toBe(named.reduce((sum, { tokens }) => sum + tokens, 0));
      },
    );
    expect(await fc.check(property, { numRuns: 40 })).toMatchObject({ failed: false, errorInstance: null });
  });
});
