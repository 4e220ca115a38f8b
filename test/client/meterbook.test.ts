import { expect, it, onTestFinished } from "vitest";

import {
  ClosedError,
  ConflictError,
  ForbiddenError,
  InvalidEventError,
  InvalidOptionError,
  Meterbook,
  MeterbookClientError,
  NotFoundError,
  QueueFullError,
  RejectedError,
  UnauthorizedError,
  type MeterbookOptions,
} from "../../src/client/index.ts";
import { ManualTimers } from "./manual-timers.ts";
import { startStandIn, type ServiceStandIn } from "./service-stand-in.ts";

async function world(options: Partial<MeterbookOptions> = {}): Promise<{ service: ServiceStandIn; client: Meterbook }> {
  const service = await startStandIn();
  const client = new Meterbook({ url: service.url, apiKey: "mb_key", ...options });
  onTestFinished(async () => void (await client.close({ timeoutMs: 1 })));
  return { service, client };
}

const use = { type: "llm", subject: "acme" };

it("sends an event as a CloudEvent with its key, and tells that it is stored", async () => {
  const { service, client } = await world({ source: "billing-job" });
  const result = await client.track({
    ...use,
    id: "e1",
    time: new Date(Date.UTC(2026, 10, 22, 10)),
    data: { tokens: 5 },
  });
  expect(result).toEqual({ status: "stored", source: "billing-job", id: "e1", held: [], isUnmetered: false });
  expect(service.events).toEqual([
    {
      specversion: "1.0",
      source: "billing-job",
      id: "e1",
      type: "llm",
      subject: "acme",
      time: "2026-11-22T10:00:00.000Z",
      data: { tokens: 5 },
    },
  ]);
  expect(service.calls[0]?.headers).toMatchObject({
    authorization: "Bearer mb_key",
    "content-type": "application/cloudevents-batch+json",
  });
});

it("tells duplicates, held shares and types without a meter", async () => {
  const { client } = await world();
  const event = { ...use, id: "e1", data: { held: true } };
  await client.track(event);
  expect(await client.track(event)).toMatchObject({
    status: "duplicate",
    held: [{ meter: "m", reason: "missing_value", detail: "no value" }],
  });
  expect(await client.track({ ...use, type: "nobody" })).toMatchObject({ status: "stored", isUnmetered: true });
});

it("rejects with the error that the service's answer means, and tries none of them again", async () => {
  const { service, client } = await world();
  await client.track({ ...use, id: "taken", data: { n: 1 } });
  await expect(client.track({ ...use, id: "taken", data: { n: 2 } })).rejects.toThrow(ConflictError);
  const rejected: unknown = await client.track({ ...use, id: "r", data: { reject: true } }).catch((error) => error);
  expect(rejected).toBeInstanceOf(RejectedError);
  expect(rejected).toMatchObject({
    code: "rejected",
    eventId: "r",
    problems: [{ pointer: "/data/reject", message: "is true" }],
  });
  for (const [status, kind] of [
    [401, UnauthorizedError],
    [403, ForbiddenError],
    [404, NotFoundError],
  ] as const) {
    const before = service.calls.length;
    service.faults.push({ kind: "answer", status, body: { title: "No", detail: "because" } });
    await expect(client.track(use)).rejects.toThrow(kind);
    expect(service.calls.length).toBe(before + 1);
  }
});

it("puts what one turn tracks into calls of at most 100 events", async () => {
  const { service, client } = await world();
  const results = await Promise.all(Array.from({ length: 250 }, (_, n) => client.track({ ...use, data: { n } })));
  expect(new Set(results.map(({ id }) => id)).size).toBe(250);
  expect(service.calls.map(({ text }) => JSON.parse(text).length)).toEqual([100, 100, 50]);
  expect(service.events.map(({ data }) => data["n"])).toEqual(Array.from({ length: 250 }, (_, n) => n));
  expect(client.stats()).toEqual({ delivered: 250, failed: 0, waiting: 0 });
});

it("gathers what comes while a call is under way", async () => {
  const { service, client } = await world();
  const open = service.hold();
  const first = client.track(use);
  await service.called(1);
  const later = Array.from({ length: 20 }, () => client.track(use));
  open();
  await Promise.all([first, ...later]);
  expect(service.calls.map(({ text }) => JSON.parse(text).length)).toEqual([1, 20]);
});

it("begins a new call where the bytes of one would be too many", async () => {
  const { service, client } = await world({ batch: { bytes: 1_000 } });
  await Promise.all(Array.from({ length: 6 }, () => client.track({ ...use, data: { text: "x".repeat(400) } })));
  expect(service.calls.length).toBeGreaterThanOrEqual(3);
  for (const { text } of service.calls) expect(text.length).toBeLessThan(1_100);
});

it("finds the one event that makes the service refuse the whole call", async () => {
  const { service, client } = await world();
  const outcomes = await Promise.allSettled(
    Array.from({ length: 9 }, (_, n) => client.track({ ...use, data: n === 5 ? { poison: true } : { n } })),
  );
  expect(outcomes.map(({ status }) => status)).toEqual(
    Array.from({ length: 9 }, (_, n) => (n === 5 ? "rejected" : "fulfilled")),
  );
  expect(service.stored.size).toBe(8);
});

it("keeps trackSoon() for company, and sends it when flush() asks", async () => {
  const timers = new ManualTimers();
  const { service, client } = await world({ clock: timers });
  for (let n = 0; n < 3; n++) client.trackSoon({ ...use, data: { n } });
  expect(client.stats().waiting).toBe(3);
  expect(await client.flush()).toBe(true);
  expect(service.calls.length).toBe(1);
  client.trackSoon(use);
  await timers.fire(1_000);
  await service.called(2);
});

it("tells onError what trackSoon() could not send, and never throws", async () => {
  const told: string[] = [];
  const { client } = await world({
    queue: { events: 1 },
    onError: (error, event) => told.push(`${error.code} ${event?.id ?? "-"}`),
  });
  client.trackSoon({ ...use, id: "a", data: { reject: true } });
  client.trackSoon({ ...use, id: "b" });
  client.trackSoon({ ...use, id: "c", data: { n: Number.NaN } });
  await client.flush();
  expect(told.toSorted()).toEqual(["invalid_event -", "queue_full b", "rejected a"]);
});

it("refuses events at the queue's bound, and takes them again when there is room", async () => {
  const { service, client } = await world({ queue: { events: 2 }, batch: { events: 2 } });
  const open = service.hold();
  const first = client.track(use);
  await service.called(1);
  const waiting = [client.track(use), client.track(use)];
  const refused: unknown = await client.track({ ...use, id: "over" }).catch((error) => error);
  expect(refused).toBeInstanceOf(QueueFullError);
  expect(refused).toMatchObject({ eventId: "over" });
  open();
  await Promise.all([first, ...waiting]);
  await client.track(use);
  expect(service.stored.size).toBe(4);
});

it("sends what waits before it closes, once, and takes no more", async () => {
  const { service, client } = await world();
  for (let n = 0; n < 150; n++) client.trackSoon({ ...use, data: { n } });
  expect(await Promise.all([client.close(), client.close()])).toEqual([true, true]);
  expect(service.stored.size).toBe(150);
  await expect(client.track(use)).rejects.toThrow(ClosedError);
  await expect(client.findCustomer("x")).rejects.toThrow(ClosedError);
});

it("fails what is left with a ClosedError when closing takes too long", async () => {
  const timers = new ManualTimers();
  const { service, client } = await world({ clock: timers });
  service.always = { kind: "hang" };
  const tracked = Promise.allSettled([client.track(use), client.track(use)]);
  await service.called(1);
  const later = Promise.allSettled([client.track(use)]);
  const closed = client.close({ timeoutMs: 77 });
  await timers.fire(77);
  expect(await closed).toBe(false);
  const reasons = [...(await tracked), ...(await later)].map((each) =>
    each.status === "rejected" ? each.reason : null,
  );
  expect(reasons.map((reason) => reason instanceof ClosedError)).toEqual([true, true, true]);
  expect(client.stats()).toEqual({ delivered: 0, failed: 3, waiting: 0 });
});

it("copies what it is given: later changes are not sent", async () => {
  const { service, client } = await world();
  const data = { tokens: 1 };
  const tracked = client.track({ ...use, data });
  data.tokens = 2;
  await tracked;
  expect(service.events[0]?.data).toEqual({ tokens: 1 });
});

it("states the time of an event that it names itself, and leaves another one's to the service", async () => {
  const timers = new ManualTimers();
  const { service, client } = await world({ clock: timers });
  await client.track(use);
  await client.track({ ...use, id: "mine" });
  expect(service.events.map(({ time }) => time)).toEqual([new Date(timers.time).toISOString(), undefined]);
});

it("refuses an event that says nothing sure, with its place", async () => {
  const { client, service } = await world();
  const wrong: readonly (readonly [object, string])[] = [
    [{ data: { n: Number.POSITIVE_INFINITY } }, "/data/n"],
    [{ data: { "a/b": { n: [2 ** 60] } } }, "/data/a~1b/n/0"],
    [{ type: "" }, "/type"],
    [{ subject: "x".repeat(257) }, "/subject"],
    [{ time: "yesterday" }, "/time"],
    [{ time: "2026-11-22T10:00:00" }, "/time"],
    [{ data: { text: "x".repeat(300_000) } }, ""],
  ];
  for (const [more, pointer] of wrong) {
    const error: unknown = await client.track({ ...use, ...more }).catch((cause) => cause);
    expect(error).toBeInstanceOf(InvalidEventError);
    expect(error).toMatchObject({ pointer });
  }
  expect(service.calls).toEqual([]);
});

it("goes to where the service is mounted, and follows no redirect with its key", async () => {
  const service = await startStandIn();
  const client = new Meterbook({ url: `${service.url}/meterbook/`, retries: 0 });
  await expect(client.track(use)).rejects.toThrow(NotFoundError);
  expect(service.calls[0]).toMatchObject({ path: "/meterbook/v1/events" });
  expect(service.calls[0]?.headers["authorization"]).toBeUndefined();
  service.faults.push({ kind: "answer", status: 302, headers: { location: `${service.url}/v1/events` } });
  await expect(client.track(use)).rejects.toThrow(MeterbookClientError);
  expect(service.calls.length).toBe(2);
});

it("refuses options that cannot be meant", () => {
  const url = "http://127.0.0.1:1";
  const wrong: readonly MeterbookOptions[] = [
    { url: "meter.example.com" },
    { url: "ftp://meter.example.com" },
    { url: "https://user:secret@meter.example.com" },
    { url: `${url}?key=x` },
    { url, apiKey: "two words" },
    { url, source: "" },
    { url, timeoutMs: 0 },
    { url, retries: -1 },
    { url, batch: { events: 1.5 } },
  ];
  for (const options of wrong) expect(() => new Meterbook(options)).toThrow(InvalidOptionError);
});

it.each([
  [{ apikey: "mb_key" }, /^apikey is no option: did you mean apiKey\?/],
  [{ api_key: "mb_key" }, /^api_key is no option: did you mean apiKey\?/],
  [{ baseUrl: "http://127.0.0.1:1" }, /^baseUrl is no option: did you mean url\?/],
  [{ timeout: 5 }, /^timeout is no option: did you mean timeoutMs\?/],
  [{ colour: "red" }, /^colour is no option\. There are url, apiKey,/],
  [{ batch: { Events: 5, events: 5 } }, /^batch\.Events is no option: did you mean batch\.events\?/],
  [{ queue: { waitMs: 5, events: 5 } }, /^queue\.waitMs is no option\. There are events, bytes\./],
])("says which option was meant by a name that is none: %j", (options, sentence) => {
  const make = (): Meterbook => new Meterbook({ url: "http://127.0.0.1:1", ...options });
  expect(make).toThrow(InvalidOptionError);
  expect(make).toThrow(sentence);
});

it.each(["meter.example.com", "localhost:8888"])("says that the URL %s lacks http://", (url) => {
  expect(() => new Meterbook({ url })).toThrow(/http:\/\/.*https:\/\//);
});
