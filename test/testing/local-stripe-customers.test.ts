import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { failure, NOON_SECONDS, rawCall, withLocalStripe } from "./running-stripe.ts";

describe("customers", () => {
  it("[customer.create] [customer.retrieve] [customer.update] keeps what is sent and merges metadata", async () => {
    await withLocalStripe({}, async ({ client }) => {
      const made = await client.customers.create({
        email: "a@b.c",
        metadata: { company_id: "acme", old: "1", __proto__x: "2" },
      });
      expect(made).toMatchObject({
        object: "customer",
        created: NOON_SECONDS,
        livemode: false,
        email: "a@b.c",
        name: null,
      });
      const changed = await client.customers.update(made.id, {
        name: "Acme",
        email: "",
        metadata: { old: "", plan: "gold" },
      });
      expect(changed).toMatchObject({ name: "Acme", email: null });
      expect(changed.metadata).toEqual({ company_id: "acme", __proto__x: "2", plan: "gold" });
      expect((await client.customers.update(made.id, { metadata: "" })).metadata).toEqual({});
      expect(await client.customers.retrieve(made.id)).toMatchObject({ id: made.id, name: "Acme" });
    });
  });

  it("[customer.delete] [customer.retrieve_deleted] [customer.change_deleted] [customer.not_found] deletes for good", async () => {
    await withLocalStripe({}, async ({ client }) => {
      const { id } = await client.customers.create({});
      expect(await client.customers.del(id)).toMatchObject({ id, object: "customer", deleted: true });
      expect(await client.customers.retrieve(id)).toMatchObject({ id, deleted: true });
      expect((await client.customers.list()).data).toEqual([]);
      for (const call of [
        client.customers.update(id, {}),
        client.customers.del(id),
        client.customers.retrieve("cus_none"),
      ]) {
        expect(await failure(call)).toMatchObject({ status: 404, code: "resource_missing" });
      }
      expect((await failure(client.customers.retrieve("cus_none"))).message).toBe("No such customer: 'cus_none'");
    });
  });

  it("[customer.metadata_limits] refuses metadata over Stripe's limits", async () => {
    await withLocalStripe({}, async ({ client }) => {
      const many = Object.fromEntries(Array.from({ length: 51 }, (_, i) => [`k${String(i)}`, "v"]));
      for (const metadata of [many, { ["k".repeat(41)]: "v" }, { k: "v".repeat(501) }]) {
        expect((await failure(client.customers.create({ metadata }))).status).toBe(400);
      }
      const fitting = await client.customers.create({ metadata: { ["k".repeat(40)]: "v".repeat(500) } });
      expect(Object.keys(fitting.metadata)).toEqual(["k".repeat(40)]);
    });
  });

  it("[customer.list] [page.cursor] pages newest first, by the client's own iterator too", async () => {
    await withLocalStripe({}, async ({ local, client, clock }) => {
      const ids: string[] = [];
      for (let i = 0; i < 7; i++) {
        ids.push(local.createCustomer({ email: i === 3 ? "three@x.y" : "other@x.y" }).id);
        clock.advance(1_000);
      }
      const newestFirst = ids.toReversed();
      const seen: string[] = [];
      for await (const customer of client.customers.list({ limit: 3 })) {
        seen.push(customer.id);
      }
      expect(seen).toEqual(newestFirst);
      const middle = await client.customers.list({ limit: 2, starting_after: newestFirst[1] ?? "" });
      expect([middle.data.map(({ id }) => id), middle.has_more]).toEqual([newestFirst.slice(2, 4), true]);
      const before = await client.customers.list({ limit: 2, ending_before: newestFirst[3] ?? "" });
      expect([before.data.map(({ id }) => id), before.has_more]).toEqual([newestFirst.slice(1, 3), true]);
      expect((await client.customers.list({ email: "three@x.y" })).data.map(({ id }) => id)).toEqual([ids[3]]);
      const span = await client.customers.list({ created: { gte: NOON_SECONDS + 1, lt: NOON_SECONDS + 3 } });
      expect(span.data.map(({ id }) => id)).toEqual([ids[2], ids[1]]);
      expect((await client.customers.list({ created: NOON_SECONDS })).data.map(({ id }) => id)).toEqual([ids[0]]);
      await client.customers.del(newestFirst[1] ?? "");
      const afterDeleted = await client.customers.list({ limit: 1, starting_after: newestFirst[1] ?? "" });
      expect(afterDeleted.data.map(({ id }) => id)).toEqual([newestFirst[2]]);
    });
  });

  it("[page.limit] [page.cursor_unknown] refuses pages that are none", async () => {
    await withLocalStripe({}, async ({ client }) => {
      expect(await failure(client.customers.list({ limit: 101 }))).toMatchObject({ status: 400, param: "limit" });
      expect(await failure(client.customers.list({ limit: 0 }))).toMatchObject({ status: 400, param: "limit" });
      const unknown = await failure(client.customers.list({ starting_after: "cus_none" }));
      expect(unknown).toMatchObject({ status: 400, code: "resource_missing", param: "starting_after" });
    });
  });
});

describe("search", () => {
  it("[customer_search.query] [customer_search.case] finds by metadata, email and name; AND, OR and not", async () => {
    await withLocalStripe({}, async ({ local, client }) => {
      const acme = local.createCustomer({ metadata: { company_id: "acme", tier: "1" }, email: "a@acme.test" }).id;
      const upper = local.createCustomer({ metadata: { company_id: "ACME", tier: "2" }, name: "Acme Two" }).id;
      const none = local.createCustomer({}).id;
      const find = async (query: string): Promise<readonly string[]> =>
        (await client.customers.search({ query })).data.map(({ id }) => id);
      expect(await find("metadata['company_id']:'acme'")).toEqual([upper, acme]);
      expect(await find(`metadata["company_id"]:"acme" AND metadata['tier']:'1'`)).toEqual([acme]);
      expect(await find("metadata['tier']:'1' OR metadata['tier']:'2'")).toEqual([upper, acme]);
      expect(await find("-metadata['company_id']:'acme'")).toEqual([none]);
      expect(await find("metadata['company_id']:null")).toEqual([none]);
      expect(await find("email:'a@acme.test'")).toEqual([acme]);
      expect(await find("name~'two'")).toEqual([upper]);
    });
  });

  it("[customer_search.query] finds every text when quotes and backslashes are escaped", async () => {
    await withLocalStripe({}, async ({ local, client }) => {
      const text = fc.string({
        minLength: 1,
        maxLength: 20,
        unit: fc.constantFrom("a", "'", '"', "\\", " ", ":", "é", "&", "=", "%"),
      });
      const check = fc.asyncProperty(text, fc.constantFrom("'", '"'), async (company, quote) => {
        const { id } = local.createCustomer({ metadata: { company_id: company } });
        const escaped = company.replaceAll(/[\\'"]/g, String.raw`\$&`);
        const found = await client.customers.search({
          query: `metadata['company_id']:${quote}${escaped}${quote}`,
          limit: 100,
        });
        expect(found.data.map((customer) => customer.id)).toContain(id);
        local.deleteCustomer(id);
      });
      await fc.assert(check, { numRuns: 60, seed: 7 });
    });
  });

  it.each([
    "metadata['k']:'v' AND metadata['l']:'w' OR metadata['m']:'x'",
    "metadata['k']:'it's'",
    "metadata['k']",
    "company:'v'",
    "metadata['k']:'v' AND ",
    "metadata['k']:'v' metadata['k']:'v'",
    "' OR ''='",
  ])("[customer_search.bad_query] refuses %s", async (query) => {
    await withLocalStripe({}, async ({ client }) => {
      expect(await failure(client.customers.search({ query }))).toMatchObject({ status: 400, param: "query" });
    });
  });

  it("[customer_search.lag] [customer_search.stale] finds changes only after the lag; deleted ones never", async () => {
    await withLocalStripe({ searchLagMs: 60_000 }, async ({ client, clock }) => {
      const find = async (company: string): Promise<readonly unknown[]> =>
        (await client.customers.search({ query: `metadata['company_id']:'${company}'` })).data.map(
          ({ metadata }) => metadata["company_id"],
        );
      const { id } = await client.customers.create({ metadata: { company_id: "one" } });
      expect(await find("one")).toEqual([]);
      clock.advance(60_000);
      expect(await find("one")).toEqual(["one"]);
      await client.customers.update(id, { metadata: { company_id: "two" } });
      expect([await find("one"), await find("two")]).toEqual([["two"], []]);
      clock.advance(60_000);
      expect([await find("one"), await find("two")]).toEqual([[], ["two"]]);
      await client.customers.del(id);
      expect(await find("two")).toEqual([]);
    });
  });

  it("[customer_search.pages] pages by next_page, by the client's own iterator too", async () => {
    await withLocalStripe({}, async ({ local, client }) => {
      const ids = Array.from({ length: 5 }, () => local.createCustomer({ metadata: { k: "v" } }).id).toReversed();
      const seen: string[] = [];
      for await (const { id } of client.customers.search({ query: "metadata['k']:'v'", limit: 2 })) {
        seen.push(id);
      }
      expect(seen).toEqual(ids);
      const odd = await failure(client.customers.search({ query: "metadata['k']:'v'", page: "nonsense" }));
      expect(odd).toMatchObject({ status: 400, param: "page" });
    });
  });

  it("[customer_search.unavailable] can be missing, as it is in some countries", async () => {
    await withLocalStripe({ searchAvailable: false }, async ({ client }) => {
      expect((await failure(client.customers.search({ query: "name:'x'" }))).message).toContain("not available");
    });
  });
});

describe("the account's events", () => {
  it("[account_event.list] [account_event.retrieve] [account_event.not_found] tells of customers, 30 days back", async () => {
    await withLocalStripe({}, async ({ local, client, clock }) => {
      const { id } = await client.customers.create({ metadata: { company_id: "a" } }, { idempotencyKey: "made" });
      await client.customers.update(id, { metadata: { company_id: "b" } });
      await client.customers.del(id);
      const all = (await client.events.list()).data;
      expect(all.map(({ type }) => type)).toEqual(["customer.deleted", "customer.updated", "customer.created"]);
      expect(all[2]?.data.object).toMatchObject({ id, metadata: { company_id: "a" } });
      expect(all[2]?.request?.idempotency_key).toBe("made");
      const some = await client.events.list({ types: ["customer.updated", "customer.deleted"] });
      expect(some.data).toHaveLength(2);
      expect((await client.events.list({ type: "customer.*" })).data).toHaveLength(3);
      expect((await client.events.list({ type: "customer.created" })).data).toHaveLength(1);
      expect(await client.events.retrieve(all[0]?.id ?? "")).toMatchObject({ type: "customer.deleted" });
      local.deleteCustomer(local.createCustomer({}).id);
      expect((await client.events.list()).data[0]).toMatchObject({ type: "customer.deleted", request: { id: null } });
      clock.advance(31 * 86_400_000);
      expect((await client.events.list()).data).toEqual([]);
      expect(await failure(client.events.retrieve(all[0]?.id ?? ""))).toMatchObject({ status: 404 });
      expect((await rawCall(local, "GET", "/v1/events?types[]=customer.created")).status).toBe(200);
    });
  });
});
