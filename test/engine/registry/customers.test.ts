import { expect, it } from "vitest";

import type { Customer, CustomerDraft } from "../../../src/engine/registry/customer.ts";
import {
  createCustomer,
  deleteCustomer,
  getCustomer,
  listCustomers,
  updateCustomer,
} from "../../../src/engine/registry/customers.ts";
import { onBothStores } from "../both-stores.ts";
import { AUTHOR, deskOf, type Desk } from "../registry-desk.ts";
import { DAY, START } from "../world.ts";

const make = (desk: Desk, draft: CustomerDraft): Promise<Customer> => createCustomer(desk, { draft, author: AUTHOR });
const change = (desk: Desk, idOrKey: string, draft: CustomerDraft): Promise<Customer> =>
  updateCustomer(desk, { idOrKey, draft, author: AUTHOR });
const end = (desk: Desk, idOrKey: string): Promise<void> => deleteCustomer(desk, { idOrKey, author: AUTHOR });

onBothStores("customers", (makeStore) => {
  it("are made with an id that sorts by time, and found by id and key", async () => {
    const desk = deskOf(await makeStore());
    const acme = await make(desk, {
      key: "acme",
      name: "Acme",
      subjects: ["s1", "s2", "s1"],
      metadata: { tier: "gold" },
      extra: { address: { city: "Ulm" } },
    });
    desk.clock.advance(1);
    const globex = await make(desk, { name: "Globex" });
    expect(acme).toEqual({
      id: expect.stringMatching(/^[0-9A-HJKMNP-TV-Z]{26}$/),
      key: "acme",
      name: "Acme",
      description: null,
      currency: null,
      primaryEmail: null,
      metadata: { tier: "gold" },
      subjects: [
        { subject: "s1", from: null, to: null },
        { subject: "s2", from: null, to: null },
      ],
      extra: { address: { city: "Ulm" } },
      createdAt: START,
      updatedAt: START,
      deletedAt: null,
    });
    expect(globex.id > acme.id).toBe(true);
    expect(await getCustomer(desk, { idOrKey: "acme" })).toEqual(acme);
    expect(await getCustomer(desk, { idOrKey: acme.id })).toEqual(acme);
    for (const idOrKey of ["s1", "Acme", "", "subject:s1"])
      await expect(getCustomer(desk, { idOrKey })).rejects.toMatchObject({ code: "METER_NOT_FOUND" });
    const history = await desk.store.entryHistory("customer", acme.id);
    expect(history.map(({ author, at }) => [author, at])).toEqual([[AUTHOR, START]]);
  });

  it("share no key and no subject, and a key is a subject; the refusal names who has it", async () => {
    const desk = deskOf(await makeStore());
    const acme = await make(desk, { key: "acme", name: "Acme", subjects: ["s1"] });
    await make(desk, { key: "globex", name: "Globex" });
    for (const [draft, said] of [
      [{ key: "acme", name: "x" }, `The customer "Acme" (${acme.id}) has the key "acme".`],
      [{ name: "x", subjects: ["s0", "s1"] }, `The customer "Acme" (${acme.id}) has the subject "s1"`],
      [{ key: "s1", name: "x" }, 'has the subject "s1"'],
      [{ name: "x", subjects: ["acme"] }, 'has the subject "acme"'],
      [{ name: "x", subjects: [acme.id] }, `has the subject "${acme.id}"`],
      [{ key: acme.id, name: "x" }, `has the subject "${acme.id}"`],
    ] as const) {
      const refusal = { code: "METER_CONFLICT", message: expect.stringContaining(said) };
      await expect(make(desk, draft)).rejects.toMatchObject(refusal);
      await expect(change(desk, "globex", draft)).rejects.toMatchObject(refusal);
    }
    expect(await desk.store.countEntries("customer")).toBe(2);
    expect(await getCustomer(desk, { idOrKey: "globex" })).toMatchObject({ name: "Globex", subjects: [] });
  });

  it("are refused with the place of each mistake", async () => {
    const desk = deskOf(await makeStore());
    const draft = { key: "", name: "", subjects: ["ok", "a\u0000", "x".repeat(257)], description: "d".repeat(2_001) };
    await expect(make(desk, draft)).rejects.toMatchObject({ code: "METER_REQUEST_INVALID" });
    const error: unknown = await make(desk, draft).catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({
      mistakes: ["/name", "/description", "/key", "/subjects/1", "/subjects/2"].map((pointer) => ({ pointer })),
    });
    const many = Array.from({ length: 1_001 }, (_, at) => `s${at}`);
    const tooMany = { mistakes: [{ pointer: "/subjects", message: "a customer has at most 1000 subjects" }] };
    await expect(make(desk, { name: "x", subjects: many })).rejects.toMatchObject(tooMany);
    expect(await make(desk, { name: "x", subjects: many.slice(1) })).toMatchObject({ name: "x" });
  });

  it("change from now on: what is left out becomes empty, but who pays stays", async () => {
    const desk = deskOf(await makeStore());
    const made = await make(desk, { key: "acme", name: "Acme", subjects: ["s1", "s2"], description: "d" });
    desk.clock.advance(DAY);
    const named = await change(desk, "acme", { name: "ACME" });
    expect(named).toEqual({ ...made, name: "ACME", description: null, updatedAt: START + DAY });
    expect(await change(desk, made.id, { name: "ACME", subjects: ["s2", "s3"] })).toMatchObject({
      key: "acme",
      subjects: [
        { subject: "s1", from: null, to: START + DAY },
        { subject: "s2", from: null, to: null },
        { subject: "s3", from: null, to: null },
      ],
    });
    expect(await change(desk, made.id, { name: "ACME", key: null, subjects: [] })).toMatchObject({
      key: null,
      subjects: [
        { subject: "s1", to: START + DAY },
        { subject: "s2", to: START + DAY },
        { subject: "s3", to: START + DAY },
        { subject: "acme", from: null, to: START + DAY },
      ],
    });
    await expect(change(desk, "acme", { name: "x" })).rejects.toMatchObject({ code: "METER_NOT_FOUND" });
    expect((await desk.store.entryHistory("customer", made.id)).length).toBe(4);
  });

  it("when deleted keep their past and free their names", async () => {
    const desk = deskOf(await makeStore());
    const { id } = await make(desk, { key: "acme", name: "Acme", subjects: ["s1"] });
    desk.clock.advance(DAY);
    await end(desk, "acme");
    const gone = await getCustomer(desk, { idOrKey: id });
    expect(gone).toMatchObject({
      key: "acme",
      deletedAt: START + DAY,
      subjects: [
        { subject: "s1", from: null, to: START + DAY },
        { subject: "acme", from: null, to: START + DAY },
      ],
    });
    for (const idOrKey of [id, "acme"]) {
      await expect(end(desk, idOrKey)).rejects.toMatchObject({ code: "METER_NOT_FOUND" });
      await expect(change(desk, idOrKey, { name: "x" })).rejects.toMatchObject({ code: "METER_NOT_FOUND" });
    }
    const next = await make(desk, { key: "acme", name: "Acme II", subjects: ["s1"] });
    expect(next.subjects).toEqual([{ subject: "s1", from: START + DAY, to: null }]);
    expect(await getCustomer(desk, { idOrKey: "acme" })).toEqual(next);
  });

  it("are listed a page at a time, by key, part of the name and subject", async () => {
    const desk = deskOf(await makeStore());
    for (const name of ["Ann & Co", "Bob", "Banana"]) {
      desk.clock.advance(1);
      await make(desk, { key: name.slice(0, 3).toLowerCase(), name, subjects: [`of ${name}`, `also ${name}`] });
    }
    await change(desk, "bob", { name: "Bob", subjects: ["also Bob"] });
    await end(desk, "ban");
    const list = async (query: Partial<Parameters<typeof listCustomers>[1]>) => {
      const { items, total } = await listCustomers(desk, { page: 1, pageSize: 10, includeDeleted: false, ...query });
      return [items.map(({ name }) => name), total];
    };
    expect(await list({})).toEqual([["Ann & Co", "Bob"], 2]);
    expect(await list({ includeDeleted: true })).toEqual([["Ann & Co", "Bob", "Banana"], 3]);
    expect(await list({ includeDeleted: true, page: 2, pageSize: 2 })).toEqual([["Banana"], 3]);
    expect(await list({ namePart: "ANN" })).toEqual([["Ann & Co"], 1]);
    expect([await list({ key: "bob" }), await list({ key: "bo" })]).toEqual([
      [["Bob"], 1],
      [[], 0],
    ]);
    expect(await list({ subject: "also Bob" })).toEqual([["Bob"], 1]);
    expect([await list({ subject: "of Bob" }), await list({ subject: "bob" })]).toEqual([
      [[], 0],
      [["Bob"], 1],
    ]);
  });

  it("end in one state when two calls change one at once", async () => {
    const desk = deskOf(await makeStore());
    const { id } = await make(desk, { key: "acme", name: "Acme", subjects: ["s1"] });
    const [first, second] = await Promise.all([
      change(desk, id, { name: "A", subjects: ["s1", "s2"] }),
      change(desk, id, { name: "B", subjects: ["s3"] }),
    ]);
    expect([first.name, second.name]).toEqual(["A", "B"]);
    expect((await desk.store.entryHistory("customer", id)).map(({ revision }) => revision)).toEqual([1, 2, 3]);
    const outcomes = await Promise.allSettled(["x", "y"].map((name) => make(desk, { key: "new", name })));
    expect(outcomes.map(({ status }) => status).toSorted()).toEqual(["fulfilled", "rejected"]);
  });
});
