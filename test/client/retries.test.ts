import { expect, it, onTestFinished } from "vitest";

import {
  Meterbook,
  RateLimitedError,
  TimeoutError,
  UnavailableError,
  type MeterbookOptions,
} from "../../src/client/index.ts";
import { greatest, least, ManualTimers } from "./manual-timers.ts";
import { startStandIn, type Fault, type ServiceStandIn } from "./service-stand-in.ts";

async function world(options: Partial<MeterbookOptions>): Promise<{ service: ServiceStandIn; client: Meterbook }> {
  const service = await startStandIn();
  const client = new Meterbook({ url: service.url, ...options });
  onTestFinished(async () => void (await client.close({ timeoutMs: 1 })));
  return { service, client };
}

const use = { type: "llm", subject: "acme" };

it.each<readonly [string, Fault]>([
  ["a connection that is lost before", { kind: "drop_before" }],
  ["an answer that is lost", { kind: "drop_after" }],
  ["429", { kind: "answer", status: 429 }],
  ["500", { kind: "answer", status: 500 }],
  ["503", { kind: "answer", status: 503 }],
  ["a proxy's page", { kind: "answer", status: 502, body: "<html>bad gateway</html>" }],
])("sends the same events again after %s, and they are there once", async (_, fault) => {
  const { service, client } = await world({ random: least });
  service.faults.push(fault, fault);
  const results = await Promise.all([client.track({ ...use, id: "a" }), client.track({ ...use, id: "b" })]);
  const status = fault.kind === "drop_after" ? "duplicate" : "stored";
  expect(results.map((each) => each.status)).toEqual([status, status]);
  expect(service.stored.size).toBe(2);
  expect(service.calls.length).toBe(3);
  expect(new Set(service.calls.map(({ text }) => text)).size).toBe(1);
});

it("waits twice as long each time, up to 10 s, and gives up after its retries with the event's id", async () => {
  const timers = new ManualTimers();
  const { service, client } = await world({ clock: timers, random: greatest });
  service.always = { kind: "answer", status: 503, body: { title: "Busy", detail: "the queue is full" } };
  const tracked = client.track({ ...use, id: "e" }).catch((error: unknown) => error);
  for (const full of [250, 500, 1_000, 2_000, 4_000, 8_000, 10_000, 10_000]) {
    const fraction = (256 ** 3 - 1) / 256 ** 3;
    await timers.fire(full * fraction);
  }
  const error = await tracked;
  expect(error).toBeInstanceOf(UnavailableError);
  expect(error).toMatchObject({ status: 503, eventId: "e", message: expect.stringContaining("tried 9 times") });
  expect(service.calls.length).toBe(9);
});

it("waits as long as the service asks for", async () => {
  const timers = new ManualTimers();
  const { service, client } = await world({ clock: timers, random: least });
  service.faults.push(
    { kind: "answer", status: 429, headers: { "retry-after": "7" } },
    {
      kind: "answer",
      status: 503,
      headers: { "retry-after": new Date(timers.time + 7_000 + 11_000).toUTCString() },
    },
  );
  const tracked = client.track(use);
  await timers.fire(7_000);
  await timers.fire(11_000);
  expect((await tracked).status).toBe("stored");
});

it("does not wait for longer than a minute: the caller hears when to come again", async () => {
  const { service, client } = await world({});
  service.faults.push({ kind: "answer", status: 429, headers: { "retry-after": "61" } });
  const error: unknown = await client.track(use).catch((cause) => cause);
  expect(error).toBeInstanceOf(RateLimitedError);
  expect(error).toMatchObject({ retryAfterMs: 61_000, status: 429 });
});

it("ends a call after 10 s, and says so when no try was answered", async () => {
  const timers = new ManualTimers();
  const { service, client } = await world({ clock: timers, random: least, retries: 1 });
  service.always = { kind: "hang" };
  const tracked = client.track(use).catch((error: unknown) => error);
  await service.called(1);
  await timers.fire(10_000);
  await timers.fire(0);
  await service.called(2);
  await timers.fire(10_000);
  expect(await tracked).toBeInstanceOf(TimeoutError);
});

it("says that the service cannot be reached, with the reason", async () => {
  const client = new Meterbook({ url: "http://127.0.0.1:1", retries: 2, random: least });
  const error: unknown = await client.track(use).catch((cause) => cause);
  expect(error).toBeInstanceOf(UnavailableError);
  expect(error).toMatchObject({ message: expect.stringContaining("3 times"), cause: expect.any(Error) });
});

it("treats an answer that is not meterbook's as none of the events' business", async () => {
  const { service, client } = await world({});
  service.faults.push({ kind: "answer", status: 200, body: "<html>login</html>" });
  await expect(client.track(use)).rejects.toThrow(UnavailableError);
});
