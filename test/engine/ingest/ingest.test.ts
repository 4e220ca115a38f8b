import { describe, expect, it } from "vitest";

import { amendEvent, assignCompany } from "../../../src/engine/ingest/assign.ts";
import { ingest } from "../../../src/engine/ingest/ingest.ts";
import { limits } from "../../../src/engine/limits.ts";
import { queryUsage } from "../../../src/engine/usage/usage-query.ts";
import { catalogOf, calls, chat, START, tokens, world } from "../world.ts";

const total = { window: null, groupBy: [] } as const;

describe("ingest", () => {
  it("says what became of each event", async () => {
    const { store, catalog } = world();
    const events = [
      chat("5", { id: "a" }),
      chat("7", { id: "b" }),
      chat(null, { id: "c" }),
      chat("1", { id: "d", company: null }),
    ];
    expect(await ingest(store, catalog, events, START)).toEqual({ stored: 4, duplicates: 0, conflicts: 0, held: 2 });
    const again = [chat("5", { id: "a" }), chat("500", { id: "b" })];
    expect(await ingest(store, catalog, again, START)).toEqual({ stored: 0, duplicates: 1, conflicts: 1, held: 0 });
    expect(await queryUsage(store, catalog, total)).toMatchObject([{ customer: "acme", value: "12", events: 2 }]);
  });

  it("takes more events than one transaction holds, and batches change nothing", async () => {
    const { store, catalog } = world();
    const events = Array.from({ length: limits.batchEventsMax + 3 }, (_, at) => chat("0.1", { id: `n${at}` }));
    const sizes: number[] = [];
    const watched = {
      ...store,
      ingest: (entries: Parameters<typeof store.ingest>[0], at: number) => (
        sizes.push(entries.length),
        store.ingest(entries, at)
      ),
    };
    expect((await ingest(watched, catalog, events, START)).stored).toBe(events.length);
    expect(sizes).toEqual([limits.batchEventsMax, 3]);
    expect(await queryUsage(store, catalog, total)).toMatchObject([{ value: "200.3" }]);
  });
});

describe("assign", () => {
  it("counts a held event for its company at its own time, once", async () => {
    const { store, catalog } = world({ catalog: catalogOf(tokens, calls) });
    await ingest(store, catalog, [chat("40", { id: "x", company: null })], START);
    const assignment = { store, catalog, id: "x", company: "globex", author: "ann", now: START + 9_000_000 };
    expect(await assignCompany(assignment)).toEqual({ assigned: true, counted: ["chat_tokens", "calls"] });
    expect(await assignCompany(assignment)).toEqual({ assigned: false, counted: [] });
    expect(await queryUsage(store, catalog, { ...total, from: START, to: START + 60_000 })).toMatchObject([
      { meter: "calls", customer: "globex", value: "1" },
      { meter: "chat_tokens", customer: "globex", value: "40" },
    ]);
    expect((await store.counts()).heldEvents).toBe(0);
    const [stored] = await store.findEvents("x");
    expect(stored?.event.company).toBeNull();
    expect(stored?.amendments).toMatchObject([{ company: "globex", author: "ann" }]);
  });

  it("refuses unknown events, events of another company and unusable companies", async () => {
    const { store, catalog } = world();
    await ingest(store, catalog, [chat("1", { id: "hers" })], START);
    const assignment = { store, catalog, id: "none", company: "globex", author: "ann", now: START };
    await expect(assignCompany(assignment)).rejects.toMatchObject({ code: "METER_EVENT_NOT_FOUND" });
    await expect(assignCompany({ ...assignment, id: "hers" })).rejects.toMatchObject({ code: "METER_COMMAND_INVALID" });
    await expect(assignCompany({ ...assignment, company: "" })).rejects.toMatchObject({
      code: "METER_COMMAND_INVALID",
    });
    await ingest(
      store,
      catalog,
      [
        { ...chat("1", { id: "both", company: null }), source: "s1" },
        { ...chat("1", { id: "both", company: null }), source: "s2" },
      ],
      START,
    );
    await expect(assignCompany({ ...assignment, id: "both" })).rejects.toThrow("s1, s2");
    expect(await assignCompany({ ...assignment, id: "both", source: "s2" })).toMatchObject({ assigned: true });
  });

  it("keeps a value that is still missing held, under the new company", async () => {
    const { store, catalog } = world();
    await ingest(store, catalog, [chat(null, { id: "x", company: null })], START);
    expect(await assignCompany({ store, catalog, id: "x", company: "acme", author: "ann", now: START })).toEqual({
      assigned: true,
      counted: [],
    });
    expect(await store.held({ order: "oldest", limit: 9 })).toMatchObject([{ reason: "missing_value" }]);
  });
});

describe("amendments of the journal", () => {
  it("count late identity and never take back what was counted", async () => {
    const whole = { ...tokens, match: [...tokens.match, { path: "aborted", op: "exists", value: false } as const] };
    const { store, catalog } = world({ catalog: catalogOf(whole) });
    await ingest(
      store,
      catalog,
      [chat("3", { id: "a" }), { ...chat("4", { id: "b", company: null }), faults: { company: "identify_timeout" } }],
      START,
    );
    expect(await store.held({ order: "oldest", limit: 9 })).toMatchObject([{ id: "b", reason: "identify_timeout" }]);
    expect(
      await amendEvent(store, catalog, { source: "test", id: "a", closes: "end", aborted: true }, "journal", START),
    ).toBe(true);
    expect(
      await amendEvent(
        store,
        catalog,
        { source: "test", id: "b", closes: "identity", company: "acme", user: "u" },
        "journal",
        START,
      ),
    ).toBe(true);
    expect(
      await amendEvent(
        store,
        catalog,
        { source: "test", id: "b", closes: "identity", company: "acme", user: "u" },
        "journal",
        START + 1,
      ),
    ).toBe(true);
    expect(await amendEvent(store, catalog, { source: "elsewhere", id: "b", closes: "end" }, "journal", START)).toBe(
      false,
    );
    expect(await queryUsage(store, catalog, total)).toMatchObject([{ value: "7", events: 2 }]);
  });
});
