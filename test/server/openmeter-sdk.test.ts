import { OpenMeter, type Event } from "@openmeter/sdk";
import { OpenMeter as OpenMeterPortal } from "@openmeter/sdk/portal";
import { describe, expect, it } from "vitest";

import { START } from "../engine/world.ts";
import { serveOpenmeter, type ServedOpenmeter } from "./openmeter/served.ts";

const HOUR = 3_600_000;

/** The published client against our server, with a key of its own. */
async function client(): Promise<{ readonly openmeter: OpenMeter; readonly served: ServedOpenmeter }> {
  const served = await serveOpenmeter();
  const apiKey = await served.key("admin");
  return { openmeter: new OpenMeter({ baseUrl: served.url, apiKey }), served };
}

const tokens = {
  slug: "tokens_total",
  eventType: "prompt",
  aggregation: "SUM",
  valueProperty: "$.tokens",
  groupBy: { model: "$.model" },
} as const;

const prompt = (subject: string, count: unknown, model: string, minutes = 0): Event => ({
  type: "prompt",
  subject,
  time: new Date(START - HOUR + minutes * 60_000),
  data: { tokens: count, model },
});

describe("the published client of OpenMeter", () => {
  it("sends events, makes meters that count them, and asks for usage", async () => {
    const { openmeter } = await client();
    await openmeter.events.ingest(prompt("s1", 10, "a"));
    const meter = await openmeter.meters.create(tokens);
    expect(meter).toMatchObject({ slug: "tokens_total", aggregation: "SUM", valueProperty: "$.tokens" });
    expect(meter?.createdAt).toBeInstanceOf(Date);
    await openmeter.events.ingest([prompt("s1", "0.1", "a", 1), prompt("s1", 0.2, "b", 2), prompt("s2", 5, "b", 3)]);

    const all = await openmeter.meters.query("tokens_total");
    expect(all?.data).toMatchObject([{ value: 15.3, subject: null, groupBy: {} }]);
    const byModel = await openmeter.meters.query("tokens_total", {
      subject: ["s1"],
      groupBy: ["model"],
      windowSize: "HOUR",
      from: new Date(START - HOUR),
      to: new Date(START),
    });
    expect(byModel).toMatchObject({ windowSize: "HOUR", from: new Date(START - HOUR), to: new Date(START) });
    expect(byModel?.data).toEqual([
      expect.objectContaining({ value: 10.1, subject: "s1", groupBy: { model: "a" } }),
      expect.objectContaining({ value: 0.2, subject: "s1", groupBy: { model: "b" } }),
    ]);
    const filtered = await openmeter.meters.query(meter?.id ?? "", { filterGroupBy: { model: "b" } });
    expect(filtered?.data).toMatchObject([{ value: 5.2 }]);
    const posted = await openmeter.meters.queryPost("tokens_total", {
      advancedMeterGroupByFilters: { model: { $in: ["a", "x"] } },
    });
    expect(posted).toMatchObject({ data: [{ value: 10.1 }] });
    expect(await openmeter.meters.listGroupByValues("tokens_total", "model")).toEqual(["a", "b"]);
  });

  it("sends an event again, with the time of now, and it counts once", async () => {
    const { openmeter, served } = await client();
    await openmeter.meters.create(tokens);
    const sent = { id: "mine", type: "prompt", subject: "s1", data: { tokens: 2 }, time: new Date(START) };
    await openmeter.events.ingest(sent);
    await openmeter.events.ingest({ ...sent, time: new Date(served.clock.now() + 1) });
    expect((await openmeter.meters.query("tokens_total"))?.data).toMatchObject([{ value: 2 }]);
  });

  it("lists, changes and deletes meters", async () => {
    const { openmeter } = await client();
    const meter = await openmeter.meters.create({ ...tokens, name: "Tokens", metadata: { team: "x" } });
    expect(await openmeter.meters.list()).toHaveLength(1);
    expect(await openmeter.meters.get(meter?.id ?? "")).toEqual(meter);
    await openmeter.meters.update("tokens_total", { name: "New", groupBy: { model: "$.model", region: "$.region" } });
    expect(await openmeter.meters.get("tokens_total")).toMatchObject({
      name: "New",
      metadata: { team: "x" },
      groupBy: { model: "$.model", region: "$.region" },
    });
    await openmeter.meters.delete("tokens_total");
    expect(await openmeter.meters.list()).toEqual([]);
    await expect(openmeter.meters.get("tokens_total")).rejects.toMatchObject({ status: 404, title: "Not Found" });
  });

  it("is told what is wrong, with its own names", async () => {
    const { openmeter } = await client();
    const { valueProperty: _, ...withoutValue } = tokens;
    const refusal = await openmeter.meters.create(withoutValue).catch((error: unknown) => error);
    expect(refusal).toMatchObject({ name: "HTTPError", status: 400, title: "Bad Request" });
    expect(String(refusal)).toContain("valueProperty");
    await openmeter.meters.create(tokens);
    await expect(openmeter.meters.create(tokens)).rejects.toMatchObject({ status: 409 });
    await expect(openmeter.meters.query("tokens_total", { groupBy: ["nope"] })).rejects.toMatchObject({ status: 400 });
  });

  it("keeps customers with several subjects, who own what was sent before", async () => {
    const { openmeter } = await client();
    await openmeter.meters.create(tokens);
    await openmeter.events.ingest([prompt("s1", 1, "a"), prompt("s2", 2, "a"), prompt("s3", 4, "a")]);
    const acme = await openmeter.customers.create({
      name: "Acme",
      key: "acme",
      currency: "USD",
      usageAttribution: { subjectKeys: ["s1", "s2"] },
    });
    expect(acme).toMatchObject({ key: "acme", usageAttribution: { subjectKeys: ["s1", "s2"] } });
    const usage = await openmeter.meters.query("tokens_total", { filterCustomerId: [acme?.id ?? ""] });
    expect(usage?.data).toMatchObject([{ value: 3, customerId: acme?.id }]);
    await expect(
      openmeter.customers.create({ name: "Other", usageAttribution: { subjectKeys: ["s2"] } }),
    ).rejects.toMatchObject({ status: 409 });

    const listed = await openmeter.customers.list({ name: "ACM", pageSize: 10 });
    expect(listed).toMatchObject({ page: 1, pageSize: 10, totalCount: 1, items: [{ id: acme?.id }] });
    await openmeter.customers.update("acme", {
      name: "Acme Inc",
      key: "acme",
      usageAttribution: { subjectKeys: ["s1"] },
    });
    expect(await openmeter.customers.get("acme")).toMatchObject({
      name: "Acme Inc",
      usageAttribution: { subjectKeys: ["s1"] },
    });
    await openmeter.customers.delete(acme?.id ?? "");
    expect(await openmeter.customers.list()).toMatchObject({ totalCount: 0, items: [] });
  });

  it("keeps subjects", async () => {
    const { openmeter, served } = await client();
    await openmeter.subjects.upsert({ key: "s1", displayName: "One", metadata: { tier: "gold" } });
    served.clock.advance(1);
    await openmeter.subjects.upsert([{ key: "s1", displayName: "First" }, { key: "s2" }]);
    expect(await openmeter.subjects.list()).toMatchObject([
      { key: "s1", displayName: "First", metadata: { tier: "gold" } },
      { key: "s2" },
    ]);
    expect(await openmeter.subjects.get("s2")).toMatchObject({ key: "s2" });
    await openmeter.subjects.delete("s2");
    await expect(openmeter.subjects.get("s2")).rejects.toMatchObject({ status: 404 });
  });

  it("lists events, with why they do not count", async () => {
    const { openmeter } = await client();
    await openmeter.meters.create(tokens);
    await openmeter.events.ingest([
      { ...prompt("s1", 1, "a"), id: "fine" },
      { ...prompt("s1", "many", "a", 1), id: "wrong" },
      { ...prompt("s2", 1, "a", 2), id: "other", type: "unknown" },
    ]);
    const listed = await openmeter.events.list({ subject: "S1" });
    expect(listed?.map(({ event }) => event.id)).toEqual(["wrong", "fine"]);
    expect(listed?.[0]?.validationError).toEqual(expect.any(String));
    expect(listed?.[1]?.event).toMatchObject({ subject: "s1", time: new Date(START - HOUR), data: { tokens: 1 } });

    const first = await openmeter.events.listV2({ limit: 2 });
    expect(first?.items.map(({ event }) => event.id)).toEqual(["other", "wrong"]);
    const second = await openmeter.events.listV2({ limit: 2, cursor: first?.nextCursor ?? "" });
    expect(second?.items.map(({ event }) => event.id)).toEqual(["fine"]);
    expect(second).not.toHaveProperty("nextCursor");
    const filter = JSON.stringify({ type: { $eq: "prompt" }, id: { $like: "f%" } });
    const filtered = await openmeter.events.listV2({ filter });
    expect(filtered?.items.map(({ event }) => event.id)).toEqual(["fine"]);
  });

  it("gives a customer's page a token that shows one subject's usage", async () => {
    const { openmeter, served } = await client();
    await openmeter.meters.create(tokens);
    await openmeter.meters.create({ ...tokens, slug: "hidden" });
    await openmeter.events.ingest([prompt("s1", 1, "a"), prompt("s2", 2, "a")]);
    const made = await openmeter.portal.create({ subject: "s1", allowedMeterSlugs: ["tokens_total"] });
    expect(made).toMatchObject({ subject: "s1", expired: false, allowedMeterSlugs: ["tokens_total"] });
    const portal = new OpenMeterPortal({ baseUrl: served.url, portalToken: made?.token ?? "" });
    expect((await portal.query("tokens_total"))?.data).toMatchObject([{ value: 1, subject: "s1" }]);
    const hidden = await portal.query("hidden").catch((error: unknown) => String(error).replaceAll("hidden", "X"));
    const absent = await portal.query("absent").catch((error: unknown) => String(error).replaceAll("absent", "X"));
    expect(hidden).toBe(absent);
    const asKey = new OpenMeter({ baseUrl: served.url, apiKey: made?.token ?? "" });
    await expect(asKey.meters.list()).rejects.toMatchObject({ status: 401 });

    expect(await openmeter.portal.list()).toMatchObject([{ id: made?.id, subject: "s1" }]);
    expect((await openmeter.portal.list())?.[0]).not.toHaveProperty("token");
    await openmeter.portal.invalidate({ subject: "s1" });
    await expect(portal.query("tokens_total")).rejects.toMatchObject({ status: 401 });
  });

  it("hears the currencies, and of what is not part of this release", async () => {
    const { openmeter, served } = await client();
    expect(await openmeter.info.listCurrencies()).toContainEqual({
      code: "USD",
      name: "US Dollar",
      symbol: "$",
      subunits: 2,
    });
    await expect(openmeter.plans.list()).rejects.toMatchObject({ status: 501, title: "Not Implemented" });
    await openmeter.meters.create(tokens);
    await openmeter.events.ingest([prompt("s1", 1, "a"), prompt("s1", 1, "a", 1)]);
    await openmeter.meters.query("tokens_total", { windowSize: "MINUTE", clientId: "mine" });
    expect(await openmeter.info.getProgress("mine")).toEqual({
      success: 2,
      failed: 0,
      total: 2,
      updatedAt: new Date(served.clock.now()),
    });
    await expect(openmeter.info.getProgress("nothing")).rejects.toMatchObject({ status: 404 });
  });

  it("without a key, or with one that may not, is turned away", async () => {
    const { served } = await client();
    const stranger = new OpenMeter({ baseUrl: served.url });
    await expect(stranger.meters.list()).rejects.toMatchObject({ status: 401 });
    const sender = new OpenMeter({ baseUrl: served.url, apiKey: await served.key("ingest") });
    await sender.events.ingest(prompt("s1", 1, "a"));
    await expect(sender.meters.list()).rejects.toMatchObject({ status: 403 });
  });
});
