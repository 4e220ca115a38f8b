import { readFileSync } from "node:fs";

import { expect, it, onTestFinished } from "vitest";
import { parse } from "yaml";

import { Meterbook, type MeterbookOptions } from "../../src/client/index.ts";
import { diskJournal } from "../../src/client/node/index.ts";
import { sessionRoutes } from "../../src/server/routes/sessions.ts";
import { tenantRoutes } from "../../src/server/routes/tenants.ts";
import { usageRoutes } from "../../src/server/routes/usage.ts";
import { START } from "../engine/world.ts";
import { startServer, type Served } from "../server/rig.ts";
import { journalFolder } from "./journal-rig.ts";

const catalogue = new URL("../../examples/meter-lib-move/meters.yaml", import.meta.url);
const { meters } = parse(readFileSync(catalogue, "utf8")) as { readonly meters: object };

/** The real service with meter-lib's meters, and a client of it. */
async function world(
  options: Partial<MeterbookOptions> = {},
): Promise<{ service: Served; client: Meterbook; key: string }> {
  const service = await startServer({
    hosted: { meters },
    routes: [...usageRoutes, ...sessionRoutes, ...tenantRoutes],
  });
  const key = await service.key("ingest", "read", "admin");
  const client = new Meterbook({ url: service.url, apiKey: key, clock: clockOf(service), retries: 0, ...options });
  onTestFinished(async () => void (await client.close({ timeoutMs: 1 })));
  return { service, client, key };
}

function clockOf(service: Served): NonNullable<MeterbookOptions["clock"]> {
  return {
    now: () => service.clock.now(),
    schedule: (delayMs, run) => {
      const timer = setTimeout(run, delayMs);
      return () => clearTimeout(timer);
    },
  };
}

async function usageOf(service: Served, meter: string): Promise<string | undefined> {
  const { rows } = await service.backend.queryMeter({
    meter,
    from: START - 1_000_000_000,
    to: START + 1_000_000_000,
    window: null,
    zone: "UTC",
    groupBy: [],
    fill: false,
  });
  return rows[0]?.value ?? undefined;
}

async function post(
  { url }: Served,
  key: string,
  path: string,
  body: object,
  headers: Readonly<Record<string, string>> = {},
): Promise<{ readonly status: number; readonly body: Record<string, unknown> }> {
  const response = await fetch(`${url}${path}`, {
    method: "POST",
    headers: { authorization: `Bearer ${key}`, "content-type": "application/json", ...headers },
    body: JSON.stringify(body),
  });
  return { status: response.status, body: (await response.json()) as Record<string, unknown> };
}

const place = { tenantId: "tenant_123", deviceId: "us-east-ing1" };

it("counts what the client sends, exactly and once", async () => {
  const { service, client } = await world();
  const usage = { ...place, meterId: "page.processed.basic", totalUsage: 9_007_199_254_740_993n, id: "u1" };
  expect(await client.postMeterUsage(usage)).toEqual({
    status: "stored",
    source: "meterbook/usage",
    id: "u1",
    held: [],
    isUnmetered: false,
  });
  expect((await client.postMeterUsage(usage)).status).toBe("duplicate");
  await client.postMeterUsage({ ...place, meterId: "page.processed.basic", totalUsage: "0.5" });
  expect(await usageOf(service, "page_processed_basic")).toBe("9007199254740993.5");
  expect(await client.track({ type: "nobody.counts.it", subject: "s" })).toMatchObject({ isUnmetered: true });
  await expect(client.postMeterUsage({ ...usage, totalUsage: 1 })).rejects.toMatchObject({ code: "conflict" });
});

it("takes a report from the client and from curl as the same one", async () => {
  const { service, client, key } = await world();
  const timestamp = START - 5_000;
  const metadata = { rule_id: "r" };
  await client.postMeterUsage({
    ...place,
    meterId: "rule.executed.small",
    totalUsage: 1,
    id: "u",
    timestamp,
    metadata,
  });
  const body = { id: "u", meter_id: "rule.executed.small", total_usage: 1, timestamp, metadata };
  const headers = { "x-tenant-id": "tenant_123", "x-device-id": "us-east-ing1" };
  expect(await post(service, key, "/v1/usage", body, headers)).toMatchObject({
    status: 200,
    body: { status: "duplicate", id: "u" },
  });
  expect(await usageOf(service, "rule_executed_small")).toBe("1");
});

it("takes meter-lib's own calls as they are", async () => {
  const { service, key } = await world();
  const headers = { "x-tenant-id": "tenant_123", "x-device-id": "us-east-ing1" };
  const usage = { meter_id: "page.processed.basic", total_usage: 24, customer_id: "cus_1" };
  expect(await post(service, key, "/v1/usage", usage, headers)).toMatchObject({
    status: 200,
    body: { status: "stored" },
  });
  const chat = { meter_id: "chat.on.time_hours", customer_id: "cus_1" };
  const start = await post(service, key, "/v1/usage", { ...chat, start_time: START - 5_400_000 }, headers);
  expect(start).toMatchObject({ status: 200, body: { status: "open", session: { tenantId: "tenant_123" } } });
  const end = await post(service, key, "/v1/usage", { ...chat, end_time: START }, headers);
  expect(end).toMatchObject({ status: 200, body: { status: "finished", session: { durationMs: 5_400_000 } } });
  expect(await usageOf(service, "page_processed_basic")).toBe("24");
  expect(await usageOf(service, "chat_on_time_hours")).toBe("1.5");
});

it("says where a report is wrong", async () => {
  const { service, key } = await world();
  const wrong: readonly (readonly [object, string])[] = [
    [{ tenant_id: "t", total_usage: 1 }, "/meter_id"],
    [{ meter_id: "m", total_usage: 1 }, "/tenant_id"],
    [{ tenant_id: "t", meter_id: "m" }, "/total_usage"],
    [{ tenant_id: "t", meter_id: "m", total_usage: 1, start_time: START }, "/total_usage"],
    [{ tenant_id: "t", meter_id: "m", total_usage: "many" }, "/total_usage"],
    [{ tenant_id: "t", tenantId: "u", meter_id: "m", total_usage: 1 }, "/tenantId"],
    [{ tenant_id: "t", meter_id: "m", total_usage: 1, timestamp: 1_759_791_552 }, "/timestamp"],
    [{ tenant_id: "t", meter_id: "m", total_usage: 1, metadata: { n: 1 } }, "/metadata/n"],
    [{ tenant_id: "t", meter_id: "m", total: 1 }, "/total"],
  ];
  for (const [body, pointer] of wrong) {
    const { status, body: problem } = await post(service, key, "/v1/usage", body);
    expect([body, status]).toEqual([body, 400]);
    expect(problem).toMatchObject({ errors: expect.arrayContaining([expect.objectContaining({ pointer })]) });
  }
});

it("pairs the ends of sessions, lists what waits, and lets an admin dismiss it", async () => {
  const { service, client, key } = await world();
  const meterId = "chat.query.time_secs";
  const began = await client.startSession({ ...place, meterId, sessionId: "s", time: START - 1_500 });
  expect(began).toMatchObject({ status: "open", session: { state: "open" } });
  expect((await client.endSession({ ...place, meterId, sessionId: "s", time: START })).status).toBe("finished");
  expect(await usageOf(service, "chat_query_time_secs")).toBe("1.5");
  const held = await client.endSession({ ...place, meterId, sessionId: "other", time: START });
  expect(held).toMatchObject({ status: "held", session: { reason: "end_without_start" } });
  const headers = { authorization: `Bearer ${key}` };
  const list = await fetch(`${service.url}/v1/sessions?state=held`, { headers });
  expect(await list.json()).toMatchObject({ data: [{ id: held.session?.id, endedAt: "2026-11-22T10:00:00.000Z" }] });
  const dismissed = await fetch(`${service.url}/v1/sessions/${held.session?.id}`, { method: "DELETE", headers });
  expect(await dismissed.json()).toMatchObject({ state: "dismissed" });
  expect(await (await fetch(`${service.url}/v1/sessions`, { headers })).json()).toEqual({ data: [], next: null });
  await client.startSession({ ...place, meterId, sessionId: "twice", time: START - 2 });
  await expect(client.startSession({ ...place, meterId, sessionId: "twice", time: START - 1 })).rejects.toMatchObject({
    code: "conflict",
  });
});

it("finds who pays for a tenant", async () => {
  const { service, client } = await world();
  expect(await client.findCustomer("tenant_123")).toBeNull();
  await service.backend.createCustomer({
    draft: { name: "Acme", key: "acme", subjects: ["tenant_123"] },
    author: "test",
  });
  service.clock.advance(1_000);
  expect(await client.findCustomer("tenant_123")).toMatchObject({
    key: "acme",
    name: "Acme",
    subjects: ["tenant_123"],
  });
});

it("tells the service's refusals by their classes and pointers", async () => {
  const { service, client } = await world();
  const refused = client.track({
    type: "t",
    subject: "s",
    source: "x",
    id: "i",
    data: { a: 1 },
    time: "1800-01-01T00:00:00Z",
  });
  await expect(refused).resolves.toMatchObject({ status: "stored" });
  await expect(client.track({ type: "om.reserved", subject: "s\u0000" })).rejects.toMatchObject({
    code: "rejected",
    problems: expect.arrayContaining([expect.objectContaining({ pointer: "/subject" })]),
  });
  const stranger = new Meterbook({ url: service.url, apiKey: "mb_nobody", retries: 0 });
  onTestFinished(async () => void (await stranger.close()));
  await expect(stranger.track({ type: "t", subject: "s" })).rejects.toMatchObject({ code: "unauthorized" });
  const reader = new Meterbook({ url: service.url, apiKey: await service.key("read"), retries: 0 });
  onTestFinished(async () => void (await reader.close()));
  await expect(reader.track({ type: "t", subject: "s" })).rejects.toMatchObject({ code: "forbidden" });
});

it("delivers a journal's events and sessions", async () => {
  const { service, client } = await world({ journal: diskJournal({ directory: journalFolder() }) });
  for (let n = 0; n < 250; n++)
    await client.postMeterUsage({ ...place, meterId: "page.processed.advanced", totalUsage: 1, id: `u${n}` });
  await client.startSession({ ...place, meterId: "chat.on.time_hours", time: START - 3_600_000 });
  await client.endSession({ ...place, meterId: "chat.on.time_hours", time: START });
  expect(await client.close()).toBe(true);
  expect(client.stats()).toEqual({ delivered: 252, failed: 0, waiting: 0 });
  expect(await usageOf(service, "page_processed_advanced")).toBe("250");
  expect(await usageOf(service, "chat_on_time_hours")).toBe("1");
});
