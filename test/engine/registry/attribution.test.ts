import { expect, it } from "vitest";

import { attributionCache, loadAttribution, newestAttribution } from "../../../src/engine/registry/attribution.ts";
import type { CustomerDraft } from "../../../src/engine/registry/customer.ts";
import { createCustomer, deleteCustomer, updateCustomer } from "../../../src/engine/registry/customers.ts";
import { memoryStore } from "../../../src/memory/memory-store.ts";
import { onBothStores } from "../both-stores.ts";
import { AUTHOR, deskOf, type Desk } from "../registry-desk.ts";
import { DAY, START } from "../world.ts";

const make = (desk: Desk, draft: CustomerDraft) => createCustomer(desk, { draft, author: AUTHOR });
const change = (desk: Desk, idOrKey: string, draft: CustomerDraft) =>
  updateCustomer(desk, { idOrKey, draft, author: AUTHOR });

onBothStores("who pays", (makeStore) => {
  it("is the subject itself where nobody owns it, else the customer's key, else its id", async () => {
    const desk = deskOf(await makeStore());
    await make(desk, { key: "acme", name: "Acme", subjects: ["s1"] });
    const { id } = await make(desk, { name: "Keyless", subjects: ["s2"] });
    const attribution = await loadAttribution(desk.store);
    const payers = ["s0", "s1", "acme", "s2", id].map((subject) => attribution.companyOf(subject, START));
    expect(payers).toEqual(["s0", "acme", "acme", id, id]);
    expect(attribution.find("acme")?.name).toBe("Acme");
    expect([attribution.find(id)?.name, attribution.find("s1")]).toEqual(["Keyless", null]);
  });

  it("is the first owner from the beginning of time, under the subject's own name too", async () => {
    const desk = deskOf(await makeStore());
    const acme = await make(desk, { key: "acme", name: "Acme", subjects: ["s1"] });
    const attribution = await loadAttribution(desk.store);
    expect(attribution.companyOf("s1", START - 1_000 * DAY)).toBe("acme");
    expect(attribution.customerOf("s1", "s1", START - DAY)?.id).toBe(acme.id);
    expect(attribution.customerOf("acme", "s1", START)?.id).toBe(acme.id);
    expect(attribution.customerOf("s9", "s9", START)).toBeNull();
    expect(new Set(attribution.companiesOf(acme))).toEqual(new Set(["acme", acme.id, "s1"]));
  });

  it("does not change for the past when a subject moves, and nobody's time is lost between two owners", async () => {
    const desk = deskOf(await makeStore());
    const a = await make(desk, { key: "a", name: "A", subjects: ["s"] });
    const b = await make(desk, { key: "b", name: "B" });
    desk.clock.advance(DAY);
    await change(desk, "a", { name: "A", subjects: [] });
    desk.clock.advance(DAY);
    const between = await loadAttribution(desk.store);
    expect([between.companyOf("s", START), between.companyOf("s", START + DAY)]).toEqual(["a", "s"]);
    const moved = await change(desk, "b", { name: "B", subjects: ["s"] });
    expect(moved.subjects).toEqual([{ subject: "s", from: START + DAY, to: null }]);
    const after = await loadAttribution(desk.store);
    expect([START - DAY, START + DAY - 1, START + DAY].map((time) => after.companyOf("s", time))).toEqual([
      "a",
      "a",
      "b",
    ]);
    expect(after.customerOf("s", "s", START)?.id).toBe(a.id);
    expect(after.customerOf("s", "s", START + DAY + 1)?.id).toBe(b.id);
    // What counted for the old owner stays its own, whoever has the subject now.
    expect(after.customerOf("a", "s", START + 9 * DAY)?.id).toBe(a.id);
    desk.clock.advance(DAY);
    await change(desk, "b", { name: "B", subjects: [] });
    const back = await change(desk, "a", { name: "A", subjects: ["s"] });
    expect(back.subjects).toEqual([
      { subject: "s", from: null, to: START + DAY },
      { subject: "s", from: START + 3 * DAY, to: null },
    ]);
  });

  it("goes on where a customer takes back what nobody had meanwhile", async () => {
    const desk = deskOf(await makeStore());
    await make(desk, { key: "a", name: "A", subjects: ["s"] });
    desk.clock.advance(DAY);
    await change(desk, "a", { name: "A", subjects: [] });
    desk.clock.advance(DAY);
    const back = await change(desk, "a", { name: "A", subjects: ["s"] });
    expect(back.subjects).toEqual([{ subject: "s", from: null, to: null }]);
  });

  it("stays a customer whose key changes, under the old key for what was", async () => {
    const desk = deskOf(await makeStore());
    const { id } = await make(desk, { key: "old", name: "A", subjects: ["s"] });
    desk.clock.advance(DAY);
    const changed = await change(desk, "old", { key: "new", name: "A" });
    const other = await make(desk, { key: "old", name: "B" });
    const attribution = await loadAttribution(desk.store);
    expect(attribution.companyOf("s", START)).toBe("new");
    expect(attribution.customerOf("old", "old", START)?.id).toBe(id);
    expect(attribution.customerOf("old", "old", START + DAY)?.id).toBe(other.id);
    expect(attribution.companiesOf(changed)).toContain("old");
    expect(attribution.find("old")?.id).toBe(other.id);
  });

  it("is a deleted customer for its past, and whoever comes after it from then on", async () => {
    const desk = deskOf(await makeStore());
    const { id } = await make(desk, { key: "acme", name: "A", subjects: ["s"] });
    desk.clock.advance(DAY);
    await deleteCustomer(desk, { idOrKey: "acme", author: AUTHOR });
    const empty = await loadAttribution(desk.store);
    expect([empty.companyOf("s", START), empty.companyOf("s", START + DAY)]).toEqual(["acme", "s"]);
    expect(empty.customerOf("acme", "acme", START)?.id).toBe(id);
    expect(empty.customerOf("acme", "acme", START + DAY)).toBeNull();
    expect([empty.find("acme"), empty.find(id)?.deletedAt]).toEqual([null, START + DAY]);
    const next = await make(desk, { key: "acme", name: "B", subjects: ["s"] });
    const after = await loadAttribution(desk.store);
    expect(after.customerOf("acme", "s", START)?.id).toBe(id);
    expect(after.customerOf("acme", "s", START + DAY)?.id).toBe(next.id);
    expect(after.customers().map((customer) => customer.id)).toEqual([id, next.id]);
  });

  it("is brought up to date with what changed alone, and then says what a new reading says", async () => {
    const desk = deskOf(await makeStore());
    const cache = attributionCache(desk.store);
    const cached = await cache();
    let kept = await loadAttribution(desk.store);
    const asked: unknown[] = [];
    const known: number[] = [];
    const counting = {
      registerRevision: () => desk.store.registerRevision("customer"),
      listEntries: (query: Parameters<typeof desk.store.listEntries>[0]) => {
        asked.push(query.changedAfter);
        return desk.store.listEntries(query);
      },
    };
    for (let round = 0; round < 30; round++) {
      desk.clock.advance(DAY);
      const subjects = [`s${round % 4}`, `t${round}`];
      const holder = desk.store.findEntry("customer", `subject:s${round % 4}`);
      const held = await holder;
      if (held !== null && round % 3 === 0) await deleteCustomer(desk, { idOrKey: held.id, author: AUTHOR });
      else if (held !== null) await change(desk, held.id, { key: `k${round}`, name: "x", subjects: [`u${round}`] });
      await make(desk, { key: round % 2 === 0 ? `c${round}` : null, name: `${round}`, subjects });
      known.push(kept.revision);
      kept = await newestAttribution(counting, kept);
      expect(await newestAttribution(counting, kept)).toBe(kept);
      const fresh = await loadAttribution(desk.store);
      expect(kept.customers()).toEqual(fresh.customers());
      for (const subject of ["s0", "s1", "s2", "s3", "t5", "c4", "k7", "u7"])
        for (const time of [START - DAY, START + 5 * DAY, START + (round - 1) * DAY, desk.clock.now()])
          expect(kept.companyOf(subject, time)).toBe(fresh.companyOf(subject, time));
    }
    expect(asked).toEqual(known);
    expect(await cache()).toBe(cached);
    expect(cached.customers()).toEqual(kept.customers());
  });
});

it("looks a subject up in no time among many customers", async () => {
  const desk = deskOf(memoryStore({ bucketMs: 60_000 }));
  for (let at = 0; at < 300; at++) await make(desk, { key: `c${at}`, name: "x", subjects: [`s${at}`] });
  const attribution = await desk.attribution();
  const started = performance.now();
  for (let at = 0; at < 300_000; at++) attribution.companyOf(`s${at % 300}`, START);
  expect(performance.now() - started).toBeLessThan(2_000);
});
