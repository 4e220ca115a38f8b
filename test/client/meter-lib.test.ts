import { expect, it, onTestFinished } from "vitest";

import { InvalidEventError, Meterbook, NotFoundError, RejectedError } from "../../src/client/index.ts";
import { ManualTimers } from "./manual-timers.ts";
import { startStandIn, type ServiceStandIn } from "./service-stand-in.ts";

async function world(): Promise<{ service: ServiceStandIn; client: Meterbook; timers: ManualTimers }> {
  const service = await startStandIn();
  const timers = new ManualTimers();
  const client = new Meterbook({ url: service.url, apiKey: "mb_key", clock: timers, retries: 0 });
  onTestFinished(async () => {
    const closed = client.close({ timeoutMs: 1 });
    await closed;
  });
  return { service, client, timers };
}

const place = { tenantId: "tenant_123", deviceId: "us-east-ing1" };

it("sends a figure of a meter exactly, whatever kind of number it is", async () => {
  const { service, client } = await world();
  const figures = [24, 0.1, 9_007_199_254_740_993n, "0.123456789012", 1e-7];
  for (const [at, totalUsage] of figures.entries())
    await client.postMeterUsage({
      ...place,
      meterId: "page.processed.basic",
      totalUsage,
      id: `u${at}`,
      timestamp: 1_759_791_552_000,
      metadata: { batch_id: "batch-999" },
    });
  expect(service.events[0]).toEqual({
    specversion: "1.0",
    source: "meterbook/usage",
    id: "u0",
    type: "page.processed.basic",
    subject: "tenant_123",
    time: "2025-10-06T22:59:12.000Z",
    data: { total_usage: "24", device_id: "us-east-ing1", metadata: { batch_id: "batch-999" } },
  });
  expect(service.events.map(({ data }) => data["total_usage"])).toEqual([
    "24",
    "0.1",
    "9007199254740993",
    "0.123456789012",
    "1e-7",
  ]);
});

it.each([Number.NaN, 2 ** 53, "1,5", "", "0x10"])("refuses %s as a figure", async (totalUsage) => {
  const { service, client } = await world();
  await expect(client.postMeterUsage({ ...place, meterId: "m", totalUsage })).rejects.toThrow(InvalidEventError);
  expect(service.calls).toEqual([]);
});

it("sends the ends of a session one after another, with names of their own", async () => {
  const { service, client, timers } = await world();
  const meterId = "chat.on.time_hours";
  const [began, ended] = await Promise.all([
    client.startSession({ ...place, meterId, sessionId: "s1" }),
    client.endSession({ ...place, meterId, sessionId: "s1", time: timers.time + 5, metadata: { a: "b" } }),
  ]);
  expect([began.status, ended.status]).toEqual(["open", "finished"]);
  expect(service.calls.map(({ path }) => path)).toEqual(["/v1/sessions/start", "/v1/sessions/end"]);
  const [start, end] = service.calls.map(({ text }) => JSON.parse(text));
  expect(start).toEqual({
    tenant_id: "tenant_123",
    device_id: "us-east-ing1",
    meter_id: meterId,
    session_id: "s1",
    time: timers.time,
    id: expect.any(String),
  });
  expect(end).toMatchObject({ time: timers.time + 5, metadata: { a: "b" } });
});

it("knows meter-lib's call for both ends", async () => {
  const { service, client } = await world();
  const usage = { ...place, meterId: "chat.on.time_hours" };
  await client.postAiMeterUsage({ ...usage, startTime: 1_759_791_552_000 });
  await client.postAiMeterUsage({ ...usage, endTime: 1_779_799_552_000 });
  expect(service.calls.map(({ path, text }) => [path, JSON.parse(text).time])).toEqual([
    ["/v1/sessions/start", 1_759_791_552_000],
    ["/v1/sessions/end", 1_779_799_552_000],
  ]);
  await expect(client.postAiMeterUsage(usage)).rejects.toThrow(InvalidEventError);
  await expect(client.postAiMeterUsage({ ...usage, startTime: 1, endTime: 2 })).rejects.toThrow(InvalidEventError);
});

it("keeps events and ends of sessions in the order in which they were sent", async () => {
  const { service, client } = await world();
  const meterId = "m";
  await Promise.all([
    client.track({ type: "t", subject: "s" }),
    client.startSession({ ...place, meterId }),
    client.track({ type: "t", subject: "s" }),
    client.track({ type: "t", subject: "s" }),
    client.endSession({ ...place, meterId }),
  ]);
  expect(service.calls.map(({ path }) => path.slice(4))).toEqual([
    "events",
    "sessions/start",
    "events",
    "sessions/end",
  ]);
});

it("rejects an end that the service refuses", async () => {
  const { service, client } = await world();
  const errors = [{ pointer: "/meter_id", message: "is missing" }];
  service.faults.push({ kind: "answer", status: 400, body: { title: "Bad", errors } });
  const error: unknown = await client.endSession({ ...place, meterId: "m" }).catch((cause) => cause);
  expect(error).toBeInstanceOf(RejectedError);
  expect(error).toMatchObject({ problems: errors });
});

it("finds who pays for a tenant, and answers null when nobody does", async () => {
  const { service, client } = await world();
  expect(await client.findCustomer("tenant 123")).toEqual({
    id: "c1",
    key: "acme",
    name: "Acme",
    metadata: { tier: "1" },
    subjects: ["tenant 123"],
  });
  expect(await client.findCustomer("nobody")).toBeNull();
  service.faults.push({ kind: "answer", status: 404, body: "<html>nginx</html>" });
  await expect(client.findCustomer("x")).rejects.toThrow(NotFoundError);
});
