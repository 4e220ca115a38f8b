import { expect, it } from "vitest";

import { acceptEvents } from "../../../src/engine/intake/accept.ts";
import type { EventListQuery } from "../../../src/engine/intake/accepted.ts";
import { findListedEvent, listEvents } from "../../../src/engine/intake/event-list.ts";
import { limits } from "../../../src/engine/limits.ts";
import type { Attribution } from "../../../src/engine/registry/customer.ts";
import type { Store } from "../../../src/engine/ports.ts";
import { onBothStores } from "../both-stores.ts";
import { chat, HOUR, MINUTE, START } from "../world.ts";
import { batchCall, cloudEvent, owners, sentCatalog, sentTokens, type EventParts } from "./intake-world.ts";

const skipping = sentCatalog({ ...sentTokens, missingValue: "skip" });
const acme = owners({ acme: ["ann", "bob"], globex: ["gus"] });

async function take(store: Store, ...events: readonly EventParts[]): Promise<void> {
  await acceptEvents(store, skipping, acme, [batchCall(events.map(cloudEvent))], START);
}

async function ids(store: Store, query: Partial<EventListQuery> = {}): Promise<readonly string[]> {
  const { events } = await listEvents(store, skipping, acme, { limit: 100, ...query });
  return events.map(({ event }) => event.id);
}

const at = (minutes: number) => ({ time: new Date(START + minutes * MINUTE).toISOString() });

onBothStores("the list of events", (make) => {
  it("goes from the newest to the oldest, later arrivals first, and page by page without gap or repeat", async () => {
    const store = await make();
    await take(store, { id: "b", ...at(-2) }, { id: "d", ...at(-1) }, { id: "a", ...at(-9) }, { id: "c", ...at(-2) });
    expect(await ids(store)).toEqual(["d", "c", "b", "a"]);
    const seen: string[] = [];
    let cursor: string | undefined;
    do {
      const page = await listEvents(store, skipping, acme, { limit: 1, ...(cursor === undefined ? {} : { cursor }) });
      seen.push(...page.events.map(({ event }) => event.id));
      cursor = page.next ?? undefined;
    } while (cursor !== undefined);
    expect(seen).toEqual(["d", "c", "b", "a"]);
  });

  it("is filtered by time, arrival, type, source, subject, customers and parts of names", async () => {
    const store = await make();
    await take(
      store,
      { id: "Alpha-1", ...at(-3) },
      { id: "beta-2", subject: "bob", type: "other", ...at(-2) },
      { id: "gamma-3", subject: "gus", source: "elsewhere", ...at(-1) },
    );
    await store.ingest([{ event: chat("1", { id: "captured", time: START - HOUR }), counts: [], holds: [] }], START);
    expect(await ids(store, { from: START - 3 * MINUTE, to: START - MINUTE })).toEqual(["beta-2", "Alpha-1"]);
    expect(await ids(store, { ingestedFrom: START })).toEqual(["gamma-3", "beta-2", "Alpha-1"]);
    expect(await ids(store, { ingestedTo: START })).toEqual(["captured"]);
    expect(await ids(store, { type: "other" })).toEqual(["beta-2"]);
    expect(await ids(store, { source: "elsewhere" })).toEqual(["gamma-3"]);
    expect(await ids(store, { subject: "bob" })).toEqual(["beta-2"]);
    expect(await ids(store, { subjectPart: "B" })).toEqual(["beta-2"]);
    expect(await ids(store, { idPart: "ALPHA" })).toEqual(["Alpha-1"]);
    expect(await ids(store, { customers: ["acme"] })).toEqual(["beta-2", "Alpha-1", "captured"]);
    expect(await ids(store, { customers: ["c_globex", "nobody"] })).toEqual(["gamma-3"]);
    expect(await ids(store, { customers: [] })).toEqual([]);
    expect(await ids(store, { customers: ["acme"], type: "prompt", idPart: "1" })).toEqual(["Alpha-1"]);
  });

  it("names subject, customer, arrival and what is wrong", async () => {
    const store = await make();
    await take(
      store,
      { id: "fine" },
      { id: "unknown", subject: "zoe", type: "nothing" },
      { id: "missing", data: { model: "m" } },
      { id: "null", data: { tokens: null } },
      { id: "text", data: { tokens: "many" } },
    );
    const { events } = await listEvents(store, skipping, acme, { limit: 100 });
    const listed = new Map(events.map((each) => [each.event.id, each]));
    expect(listed.get("fine")).toMatchObject({
      subject: "ann",
      customer: "c_acme",
      voided: false,
      storedAt: START,
      problems: [],
    });
    expect(listed.get("unknown")).toMatchObject({
      customer: null,
      problems: [
        { code: "no_meter", message: 'no meter is for the event type "nothing"', meter: null },
        { code: "no_customer", message: 'no customer has the subject "zoe"', meter: null },
      ],
    });
    expect(listed.get("missing")?.problems).toEqual([
      { code: "missing_value", message: "there is no value at data.tokens", meter: "chat_tokens" },
    ]);
    expect(listed.get("null")?.problems).toMatchObject([
      { code: "not_a_number", message: expect.stringContaining("data.tokens is null") },
    ]);
    expect(listed.get("text")?.problems).toMatchObject([
      { code: "not_a_number", message: expect.stringContaining('"many"') },
    ]);
  });

  it("says that a null is no value for a meter that counts different values", async () => {
    const store = await make();
    const unique = sentCatalog({ ...sentTokens, aggregate: "unique", missingValue: "skip" });
    await take(store, { data: { tokens: null } });
    const { events } = await listEvents(store, unique, acme, { limit: 1 });
    expect(events[0]?.problems).toEqual([
      { code: "null_value", message: "the value at data.tokens is null", meter: "chat_tokens" },
    ]);
  });

  it("has voided events, without problems", async () => {
    const store = await make();
    await take(store, { subject: "zoe", type: "nothing" });
    const voiding = {
      source: "app",
      id: "e1",
      closes: "void",
      cause: "a test",
      at: START,
      author: "operator:ann",
    } as const;
    expect(await store.correct({ voiding, seen: 0, buckets: [], replacement: null }, START)).toBe("done");
    const { events } = await listEvents(store, skipping, acme, { limit: 1 });
    expect(events).toMatchObject([{ voided: true, problems: [] }]);
  });

  it("leaves out what a customer's company was another one's at the time", async () => {
    const store = await make();
    await take(store, { id: "before", subject: "moved", ...at(-2) }, { id: "after", subject: "moved", ...at(-1) });
    const [acmeSelf, globex] = [acme.find("acme"), acme.find("globex")];
    const moving: Attribution = {
      ...acme,
      companiesOf: () => ["moved"],
      turnsOf: () => [],
      customerOf: (_company, _subject, time) => (time < START - MINUTE ? acmeSelf : globex),
    };
    const list = (customer: string) => listEvents(store, skipping, moving, { limit: 9, customers: [customer] });
    expect((await list("acme")).events.map(({ event }) => event.id)).toEqual(["before"]);
    expect((await list("globex")).events.map(({ event }) => event.id)).toEqual(["after"]);
  });

  it("refuses a cursor that is none", async () => {
    const store = await make();
    for (const cursor of ["", "x", "1.", "1.2.3", "-1.-2", "zzzzzzzzzzzz.1", "zzzzzzzzzzz.1"]) {
      await expect(listEvents(store, skipping, acme, { limit: 1, cursor })).rejects.toMatchObject({
        code: "METER_REQUEST_INVALID",
        mistakes: [{ pointer: "/cursor" }],
      });
    }
  });

  it("has pages of a bounded length, whatever is asked for", async () => {
    const store = await make();
    const many = Array.from({ length: limits.listedEventsMax + 1 }, (_, number) => ({ id: `e${number}` }));
    await take(store, ...many);
    const page = await listEvents(store, skipping, acme, { limit: 1_000_000 });
    expect(page.events).toHaveLength(limits.listedEventsMax);
    const rest = await listEvents(store, skipping, acme, { limit: 1_000_000, cursor: page.next ?? "" });
    expect([rest.events.map(({ event }) => event.id), rest.next]).toEqual([["e0"], null]);
  });

  it("finds one event by its identity, with what each meter says of it", async () => {
    const store = await make();
    await take(store, { id: "x", data: { tokens: 5 } }, { id: "x", source: "other", data: { tokens: "many" } });
    const first = await findListedEvent(store, skipping, acme, { id: "x" });
    expect(first).toMatchObject({
      listed: { event: { source: "app" } },
      verdicts: [{ kind: "counted", meter: "chat_tokens" }],
    });
    const second = await findListedEvent(store, skipping, acme, { id: "x", source: "other" });
    expect(second?.verdicts).toMatchObject([{ kind: "held", reason: "not_a_number" }]);
    expect(await findListedEvent(store, skipping, acme, { id: "x", source: "third" })).toBeNull();
    expect(await findListedEvent(store, skipping, acme, { id: "y" })).toBeNull();
  });
});
