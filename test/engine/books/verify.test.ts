import * as fc from "fast-check";
import { describe, expect, it } from "vitest";

import { formatDecimal, type Decimal } from "../../../src/core/decimal.ts";
import type { Bucket } from "../../../src/core/usage.ts";
import { amendEvent, assignCompany } from "../../../src/engine/ingest/assign.ts";
import { limits } from "../../../src/engine/limits.ts";
import type { Store, StoreView } from "../../../src/engine/ports.ts";
import { rebuild } from "../../../src/engine/books/rebuild.ts";
import { purgeExpired } from "../../../src/engine/books/retention.ts";
import { verify } from "../../../src/engine/books/verify.ts";
import { memoryStore } from "../../../src/memory/memory-store.ts";
import { recordingReporter, UNKNOWN } from "../../../src/testing/recording-reporter.ts";
import { calls, catalogOf, chat, DAY, decimal, HOUR, MINUTE, START, tokens, world, type World } from "../world.ts";

async function busy(): Promise<World> {
  const busyWorld = world({ catalog: catalogOf(tokens, calls) });
  await busyWorld.take(
    chat("5.5"),
    chat("2", { company: "globex" }),
    chat("3", { company: null }),
    chat(null),
    chat("1", { time: START + 3 * HOUR }),
  );
  return busyWorld;
}

function more(bucket: Bucket, value: Decimal): Bucket {
  return { ...bucket, state: { ...bucket.state, value: (bucket.state.value ?? 0n) + value } };
}

describe("verify", () => {
  it("finds every unit: reported, due, held or refused", async () => {
    const { store, catalog, clock, round } = await busy();
    expect(await verify(store, catalog)).toMatchObject({
      ok: true,
      events: 5,
      meters: {
        chat_tokens: { accepted: "11.5", reported: "0", due: "8.5", held: "3", unknown: 1, in: "usage" },
        calls: { accepted: "5", due: "4", held: "1" },
      },
    });
    clock.advance(2 * HOUR);
    const reporter = recordingReporter({ customers: { acme: "cus_1" } });
    reporter.answerNext({ counts: false, answer: { kind: "dead", reason: "no", requestId: null } });
    reporter.answerNext({ counts: true, answer: UNKNOWN });
    await round(reporter);
    expect(await verify(store, catalog)).toMatchObject({
      ok: true,
      differences: [],
      meters: { chat_tokens: { accepted: "11.5", held: "5" } },
    });
  });

  it("catches a bucket, a report, a hold and a mark that are not as the events say", async () => {
    const { store, catalog, clock, round } = await busy();
    clock.advance(2 * HOUR);
    await round(recordingReporter({ customers: { acme: "cus_1" } }));
    const half = decimal("0.5");
    const one = decimal("1");
    const lanes = await store.laneTotals();
    const planted: readonly Partial<StoreView>[] = [
      { buckets: async (query) => (await store.buckets(query)).map((bucket) => more(bucket, half)) },
      { buckets: async (query) => (await store.buckets(query)).slice(1) },
      { outboxTotals: async () => (await store.outboxTotals()).map((total) => ({ ...total, raw: total.raw + half })) },
      { outboxTotals: async () => [] },
      { holdTotals: async () => [] },
      { dueTotals: async () => [] },
      { archivedBuckets: async (query) => store.buckets(query ?? {}) },
      { laneTotals: async () => lanes.map((lane) => ({ ...lane, value: lane.value - one })) },
      { laneTotals: async () => lanes.map((lane) => ({ ...lane, value: lane.raw + half })) },
      { laneTotals: async () => lanes.map((lane) => ({ ...lane, runningValue: lane.runningValue + one })) },
      { laneTotals: async () => lanes.map((lane) => ({ ...lane, runningRaw: 0n })) },
    ];
    expect(await verify(store, catalog)).toMatchObject({ ok: true });
    for (const wrong of planted) {
      const snapshot = async () => ({ ...(await store.snapshot()), ...wrong });
      const verdict = await verify({ ...store, snapshot }, catalog);
      expect(verdict.ok).toBe(false);
      expect(verdict.differences.length).toBeGreaterThan(0);
    }
  });

  it("is not alarmed by usage that moves while it counts", async () => {
    const { store, catalog, take } = await busy();
    const { moving, open } = movingStore(store, () => take(chat("100")));
    expect(await verify(moving, catalog)).toMatchObject({ ok: true, events: 5 });
    expect(await rebuild(moving, catalog, { apply: false })).toMatchObject({ events: 6, differences: [] });
    expect((await store.counts()).events).toBe(7);
    expect(open()).toBe(0);
  });

  it("tells an archive that has more than the usage, also of a meter that left the file", async () => {
    const { store } = await busy();
    const archivedBuckets = async () =>
      (await store.buckets({ meter: "calls" })).map((bucket) => {
        return { ...bucket, state: { ...bucket.state, events: bucket.state.events + 1 } };
      });
    const snapshot = async () => ({ ...(await store.snapshot()), archivedBuckets });
    const verdict = await verify({ ...store, snapshot }, catalogOf(tokens));
    expect(verdict.differences[0]).toMatch(/^bucket calls acme .* is not as much as its archived part$/);
  });

  it("closes its snapshot when reading fails", async () => {
    const { store, catalog } = await busy();
    const { moving, open } = movingStore(store, () => Promise.reject(new Error("disk")));
    await expect(verify(moving, catalog)).rejects.toThrow("disk");
    expect(open()).toBe(0);
  });

  it("holds after any history of events, assignments, reports and failures", async () => {
    const step = fc.oneof(
      fc.record({
        do: fc.constant("take" as const),
        value: fc.integer({ min: -20_000, max: 99_999 }),
        company: fc.constantFrom("acme", "globex", null),
        hour: fc.integer({ min: 0, max: 4 }),
      }),
      fc.record({
        do: fc.constant("round" as const),
        answers: fc.array(fc.constantFrom("accepted", "unknown", "lost", "dead", "stop"), { maxLength: 4 }),
        hours: fc.integer({ min: 0, max: 3 }),
      }),
      fc.record({ do: fc.constant("map" as const) }),
      fc.record({ do: fc.constant("assign" as const) }),
    );
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 5, maxLength: 25 }), async (steps) => {
        const { store, catalog, clock, take, round } = world({ catalog: catalogOf(tokens, calls) });
        const reporter = recordingReporter({ customers: { acme: "cus_1" } });
        let isMapped = false;
        for (const each of steps) {
          if (each.do === "take")
            await take(
              chat(formatDecimal(decimal(`${each.value}e-3`)), {
                company: each.company,
                time: START + each.hour * HOUR,
              }),
            );
          if (each.do === "map" && !isMapped) reporter.addCustomer("globex", "cus_2");
          if (each.do === "map") isMapped = true;
          if (each.do === "assign") {
            const [held] = await store.held({ order: "oldest", limit: 1 });
            if (held !== undefined)
              await assignCompany({ store, catalog, id: held.id, company: "acme", author: "t", now: clock.now() });
          }
          if (each.do === "round") {
            clock.advance(each.hours * HOUR);
            for (const answer of each.answers) reporter.answerNext(NEXT[answer]);
            await round(reporter);
          }
          const verdict = await verify(store, catalog);
          expect(verdict.differences).toEqual([]);
        }
        const sent = await store.outbox({ state: "accepted", limit: 1_000 });
        const counted = new Map(reporter.records.map((record) => [record.identifier, record.value]));
        const billed = sent.filter(({ identifier }) => identifier !== null);
        expect(billed.map(({ identifier }) => counted.get(identifier ?? ""))).toEqual(billed.map(({ value }) => value));
        expect(reporter.records.length).toBe(
          new Set(reporter.calls.map(({ record }) => record.identifier)).size - neverCounted(reporter),
        );
      }),
      { numRuns: 40, seed: 7 },
    );
  });
});

const NEXT = {
  accepted: { counts: true, answer: { kind: "accepted", requestId: null } },
  unknown: { counts: false, answer: UNKNOWN },
  lost: { counts: true, answer: UNKNOWN },
  dead: { counts: false, answer: { kind: "dead", reason: "no", requestId: null } },
  stop: { counts: false, answer: { kind: "stop", reason: "key" } },
} as const;

function neverCounted({ calls: all, records }: ReturnType<typeof recordingReporter>): number {
  const known = new Set(records.map(({ identifier }) => identifier));
  return new Set(all.map(({ record }) => record.identifier).filter((identifier) => !known.has(identifier))).size;
}

/** A store that something happens to while its snapshot is read, and how many snapshots are open. */
function movingStore(store: Store, move: () => Promise<void>): { moving: Store; open: () => number } {
  let open = 0;
  const snapshot = async () => {
    const view = await store.snapshot();
    open += 1;
    let isMoved = false;
    const buckets: Store["buckets"] = async (query) => {
      if (!isMoved) await move();
      isMoved = true;
      return view.buckets(query);
    };
    const close = async (): Promise<void> => {
      open -= 1;
      await view.close();
    };
    return { ...view, buckets, close };
  };
  return { moving: { ...store, snapshot }, open: () => open };
}

async function spoil(store: Store): Promise<void> {
  const spoiled = (await store.buckets({})).map((bucket) => more(bucket, decimal("1")));
  expect(await store.replaceBuckets(spoiled, await store.usageRevision())).toBe(true);
}

describe("rebuild", () => {
  it("writes with the usage that arrived while it compared", async () => {
    const { store, catalog, take } = await busy();
    await spoil(store);
    let events = 0;
    const { moving } = movingStore(store, async () => {
      if (events++ < 3) await take(chat("100"));
    });
    expect(await rebuild(moving, catalog, { apply: true })).toMatchObject({ applied: true, events: 6 });
    expect(await verify(store, catalog)).toMatchObject({ ok: true, events: 6 });
  });

  it("begins anew when an amendment changed what was recounted", async () => {
    const { store, catalog, clock } = await busy();
    await spoil(store);
    let isAssigned = false;
    const { moving } = movingStore(store, async () => {
      const [held] = await store.held({ order: "oldest", limit: 1 });
      if (held === undefined || isAssigned) return;
      isAssigned = true;
      await assignCompany({ store, catalog, id: held.id, company: "acme", author: "t", now: clock.now() });
    });
    expect(await rebuild(moving, catalog, { apply: true })).toMatchObject({ applied: true, events: 5 });
    expect(await verify(store, catalog)).toMatchObject({ ok: true });
  });

  it("gives up when usage arrives faster than it can be written", async () => {
    const { store, catalog, take } = await busy();
    await spoil(store);
    const racing: Store = {
      ...store,
      replaceBuckets: async (buckets, revision) => {
        await take(chat("1"));
        return store.replaceBuckets(buckets, revision);
      },
    };
    await expect(rebuild(racing, catalog, { apply: true })).rejects.toMatchObject({ code: "METER_STORE_BUSY" });
  });

  it("shows differences, and writes only when told; changed windows are reported as corrections", async () => {
    const { store, catalog, clock, round } = await busy();
    const reporter = recordingReporter({ customers: { acme: "cus_1", globex: "cus_2" } });
    expect(await rebuild(store, catalog, { apply: true })).toMatchObject({
      events: 5,
      differences: [],
      applied: false,
    });
    const spoiled = (await store.buckets({})).map((bucket) =>
      bucket.company === "globex" && bucket.meter === "chat_tokens"
        ? { ...bucket, state: { ...bucket.state, value: decimal("1") } }
        : bucket,
    );
    await store.replaceBuckets(spoiled, await store.usageRevision());
    clock.advance(2 * HOUR);
    await round(reporter);
    expect(reporter.total("chat_tokens", "cus_2")).toBe("1");
    const shown = await rebuild(store, catalog, { apply: false });
    expect(shown).toMatchObject({
      applied: false,
      differences: [{ meter: "chat_tokens", company: "globex", expected: decimal("2"), actual: decimal("1") }],
    });
    expect((await rebuild(store, catalog, { apply: true })).applied).toBe(true);
    expect(await rebuild(store, catalog, { apply: false })).toMatchObject({ differences: [] });
    await round(reporter);
    expect(reporter.total("chat_tokens", "cus_2")).toBe("2");
    expect(await verify(store, catalog)).toMatchObject({ ok: true });
  });

  it("keeps the usage of meters that left the file", async () => {
    const { store } = await busy();
    expect(await rebuild(store, catalogOf(tokens), { apply: true })).toMatchObject({ differences: [] });
    expect((await store.buckets({ meter: "calls" })).length).toBeGreaterThan(0);
    expect(await verify(store, catalogOf(tokens))).toMatchObject({
      ok: true,
      meters: { calls: { accepted: "5", due: "4", held: "1" } },
    });
  });
});

const settings = (keepEventsMs: number | null, isReporting = true) => ({
  storage: { path: "", keepEventsMs, durability: "process" as const },
  billing: {
    stripe: isReporting
      ? {
          apiKey: "sk_test_x",
          mode: "test" as const,
          apiBase: null,
          companyIdAt: { kind: "customerId" as const },
          unmatchedCustomer: "hold" as const,
          noSubscription: "send" as const,
          webhookSecret: null,
          shadow: false,
          report: { windowMs: HOUR, everyMs: MINUTE, latenessMs: MINUTE, graceMs: HOUR, fractionDigits: 0 },
        }
      : null,
  },
});

describe("purgeExpired", () => {
  it("deletes old events whose usage is at the biller, and keeps their totals", async () => {
    const { store, catalog, clock, take, round } = world();
    await take(chat("5"), chat("2"), chat("1", { time: START + 30 * DAY }));
    clock.set(START + 31 * DAY);
    expect(await purgeExpired(store, catalog, settings(DAY), clock.now())).toBe(0);
    await round(recordingReporter({ customers: { acme: "cus_1" } }));
    expect(await purgeExpired(store, catalog, settings(null), clock.now())).toBe(0);
    expect(await purgeExpired(store, catalog, settings(2 * DAY), clock.now())).toBe(2);
    expect(await store.events({ order: "oldest", limit: 9 })).toHaveLength(1);
    expect(await verify(store, catalog)).toMatchObject({
      ok: true,
      events: 1,
      meters: { chat_tokens: { accepted: "8", reported: "8" } },
    });
    expect(await rebuild(store, catalog, { apply: true })).toMatchObject({ differences: [] });
  });

  it("keeps held events and unreported windows, and nothing else because of them", async () => {
    const { store, catalog, clock, take, round } = world();
    const reporter = recordingReporter({ customers: { acme: "cus_1" } });
    await take(chat("5"), chat("2", { company: "globex" }), chat("3"), chat(null, { company: "globex" }));
    clock.advance(30 * DAY);
    await round(reporter);
    // Usage that came after its window was reported is not at the biller yet.
    await take(chat("7", { time: START + HOUR }), chat("1", { route: "/free" }));
    expect(await purgeExpired(store, catalog, settings(DAY), clock.now())).toBe(3);
    expect((await store.events({ order: "oldest", limit: 9 })).map(({ seq }) => seq)).toEqual([2, 4, 5]);
    expect(await verify(store, catalog)).toMatchObject({ ok: true, meters: { chat_tokens: { accepted: "17" } } });
    await round(reporter);
    expect(await purgeExpired(store, catalog, settings(DAY), clock.now())).toBe(1);
    reporter.addCustomer("globex", "cus_2");
    clock.advance(HOUR);
    await round(reporter);
    expect(await purgeExpired(store, catalog, settings(DAY), clock.now())).toBe(1);
    expect(await verify(store, catalog)).toMatchObject({ ok: true, events: 1 });
    const held = memoryStore({ bucketMs: MINUTE });
    const other = world({ store: held });
    await other.take(chat("5"), chat("5", { company: null }), chat("5"));
    expect(await purgeExpired(held, catalog, settings(DAY, false), START + 30 * DAY)).toBe(2);
    expect(await held.held({ order: "oldest", limit: 9 })).toHaveLength(1);
    expect(await verify(held, catalog)).toMatchObject({ ok: true });
  });

  it("archives what an amendment counted, and leaves an event that is amended meanwhile", async () => {
    const { store, catalog, take } = world();
    await take(chat("5", { id: "late", company: null }), chat("2"));
    const assign = () => assignCompany({ store, catalog, id: "late", company: "acme", author: "t", now: START });
    const now = START + 30 * DAY;
    expect(await purgeExpired(store, catalog, settings(DAY, false), now)).toBe(1);
    await assign();
    const racing: Store = {
      ...store,
      purge: async (...asked) => {
        const end = { source: "test", id: "late", closes: "end", aborted: true, at: START, author: "journal" } as const;
        await store.amend(end, [], [], 1);
        return store.purge(...asked);
      },
    };
    expect(await purgeExpired(racing, catalog, settings(DAY, false), now)).toBe(0);
    expect(await purgeExpired(store, catalog, settings(DAY, false), now)).toBe(1);
    expect(await store.archivedBuckets()).toEqual(await store.buckets({}));
    expect(await verify(store, catalog)).toMatchObject({ ok: true, events: 0 });
  });

  it("goes on behind a batch of events that stay", async () => {
    const { store, catalog, take } = world();
    const stuck = Array.from({ length: limits.batchEventsMax }, (_, place) => chat(null, { id: `stuck ${place}` }));
    await take(...stuck, chat("1", { time: START + 1 }));
    const reporting = world({ store, catalog });
    reporting.clock.advance(30 * DAY);
    await reporting.round(recordingReporter({ customers: { acme: "cus_1" } }));
    expect(await purgeExpired(store, catalog, settings(DAY), reporting.clock.now())).toBe(1);
  });
});

describe("two assignments at once", () => {
  it("give the event to the first, and tell the second", async () => {
    const { store, catalog, take } = world();
    await take(chat("5", { id: "x", company: null }));
    const assign = (company: string, used: Store = store) =>
      assignCompany({ store: used, catalog, id: "x", company, author: "t", now: START });
    let isFirst = true;
    const racing: Store = {
      ...store,
      amend: async (...asked) => {
        if (isFirst) {
          isFirst = false;
          await assign("beta");
        }
        return store.amend(...asked);
      },
    };
    await expect(assign("alpha", racing)).rejects.toMatchObject({ code: "METER_COMMAND_INVALID" });
    expect((await store.buckets({})).map(({ company }) => company)).toEqual(["beta"]);
    expect(await store.events({ company: "beta", order: "oldest", limit: 9 })).toHaveLength(1);
    expect(await store.events({ company: "alpha", order: "oldest", limit: 9 })).toEqual([]);
    expect(await verify(store, catalog)).toMatchObject({ ok: true });
  });

  it("leave no stale hold when the journal amends meanwhile", async () => {
    const { store, catalog, take } = world();
    await take(chat("5", { id: "y", company: null }));
    let isFirst = true;
    const racing: Store = {
      ...store,
      amend: async (...asked) => {
        if (isFirst) {
          isFirst = false;
          await assignCompany({ store, catalog, id: "y", company: "acme", author: "t", now: START });
        }
        return store.amend(...asked);
      },
    };
    const end = { source: "test", id: "y", closes: "end", aborted: true } as const;
    expect(await amendEvent(racing, catalog, end, "journal", START)).toBe(true);
    expect(await store.held({ order: "oldest", limit: 9 })).toEqual([]);
    expect((await store.findEvents("y"))[0]?.amendments).toHaveLength(2);
    expect(await verify(store, catalog)).toMatchObject({ ok: true });
  });
});
