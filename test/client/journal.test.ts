import { writeFileSync } from "node:fs";
import { join } from "node:path";

import { expect, it, onTestFinished } from "vitest";

import { Meterbook, QueueFullError, type MeterbookOptions } from "../../src/client/index.ts";
import { diskJournal } from "../../src/client/node/index.ts";
import { journalFolder, refusedIn, writersIn } from "./journal-rig.ts";
import { least, ManualTimers } from "./manual-timers.ts";
import { startStandIn } from "./service-stand-in.ts";

function keeping(folder: string, url: string, options: Partial<MeterbookOptions> = {}): Meterbook {
  const client = new Meterbook({ url, journal: diskJournal({ directory: folder }), random: least, ...options });
  onTestFinished(async () => void (await client.close({ timeoutMs: 1 })));
  return client;
}

const use = { type: "llm", subject: "acme" };

it("takes an event once it is written down, sends it later, and leaves nothing behind", async () => {
  const service = await startStandIn();
  const folder = journalFolder();
  const client = keeping(folder, service.url, { batch: { waitMs: 0 } });
  expect(await client.track({ ...use, id: "e1", data: { tokens: 5, big: 2n ** 60n } })).toEqual({
    status: "kept",
    source: "meterbook/client",
    id: "e1",
    held: [],
    isUnmetered: false,
  });
  await service.has(1);
  expect(service.events[0]).toMatchObject({ id: "e1", data: { tokens: 5, big: "1152921504606846976" } });
  expect(service.events[0]?.time).toMatch(/Z$/);
  expect(await client.close()).toBe(true);
  expect(writersIn(folder)).toEqual([]);
  expect(client.stats()).toEqual({ delivered: 1, failed: 0, waiting: 0 });
});

it("sends what an earlier process left, with the same ids and times", async () => {
  const service = await startStandIn();
  const folder = journalFolder();
  const first = keeping(folder, "http://127.0.0.1:1", { retries: 0, onError: () => undefined });
  for (let n = 0; n < 250; n++) await first.track({ ...use, id: `e${n}`, time: 1_795_341_600_000 + n, data: { n } });
  await first.startSession({ tenantId: "t", meterId: "m", sessionId: "s" });
  expect(await first.close({ timeoutMs: 10_000 })).toBe(false);
  expect(writersIn(folder)).toHaveLength(1);

  const second = keeping(folder, service.url);
  expect(await second.flush()).toBe(true);
  expect(service.stored.size).toBe(251);
  const events = service.events.filter(({ type }) => type === "llm");
  expect(events.map(({ id, time }) => [id, Date.parse(time ?? "")])).toEqual(
    Array.from({ length: 250 }, (_, n) => [`e${n}`, 1_795_341_600_000 + n]),
  );
  expect(service.calls.at(-1)?.path).toBe("/v1/sessions/start");
  expect(JSON.parse(service.calls.at(-1)?.text ?? "")).toMatchObject({ tenant_id: "t", session_id: "s" });
  await second.close();
  expect(writersIn(folder)).toEqual([]);
});

it("goes on when the service comes back, and tells the outage once", async () => {
  const service = await startStandIn();
  const timers = new ManualTimers();
  const told: string[] = [];
  const client = keeping(journalFolder(), service.url, {
    clock: timers,
    retries: 0,
    onError: (error, event) => told.push(`${error.code} ${event?.id ?? "-"}`),
  });
  service.always = { kind: "answer", status: 401, body: { title: "No key" } };
  await client.track({ ...use, id: "a" });
  await timers.fire(1_000);
  await service.called(1);
  await client.track({ ...use, id: "b" });
  await timers.fire(30_000);
  await service.called(2);
  service.always = null;
  await timers.fire(30_000);
  await service.has(2);
  expect(told).toEqual(["unauthorized -"]);
});

it("sets aside what the service refuses for good, tells it, and sends the rest", async () => {
  const service = await startStandIn();
  const folder = journalFolder();
  const told: string[] = [];
  const client = keeping(folder, service.url, { onError: (error, event) => told.push(`${error.code} ${event?.id}`) });
  await client.track({ ...use, id: "good", data: { n: 1 } });
  await client.track({ ...use, id: "bad", data: { reject: true } });
  await client.track({ ...use, id: "good", data: { n: 2 } });
  await client.track({ ...use, id: "poison", data: { poison: true } });
  await client.track({ ...use, id: "last" });
  expect(await client.flush()).toBe(true);
  expect(told).toEqual(["rejected bad", "conflict good", "rejected poison"]);
  expect(refusedIn(folder).map(({ code, event }) => `${code} ${event.id}`)).toEqual(told);
  expect(service.events.map(({ id }) => id)).toEqual(["good", "last"]);
  expect(client.stats()).toEqual({ delivered: 2, failed: 3, waiting: 0 });
  await client.close();
  expect(writersIn(folder)).toEqual([]);
});

it.each([
  ["by an answer of its own", 1, [{ status: 422 }, { status: 503 }]],
  ["beside one of which nothing was said", 2, [{ status: 200, body: { results: [{ index: 0, status: "rejected" }] } }]],
])("sets aside once what was refused %s, although a later one must wait", async (_how, events, answers) => {
  const service = await startStandIn();
  service.faults.push(...answers.map((answer) => ({ kind: "answer", ...answer }) as const));
  const folder = journalFolder();
  const told: string[] = [];
  const client = keeping(folder, service.url, {
    retries: 0,
    batch: { events, waitMs: 60_000 },
    onError: (error, event) => told.push(`${error.code} ${event?.id ?? "-"}`),
  });
  await client.track({ ...use, id: "bad", data: { reject: true } });
  await client.track({ ...use, id: "later" });
  expect(await client.flush()).toBe(false);
  expect(client.stats()).toEqual({ delivered: 0, failed: 1, waiting: 1 });
  expect(await client.flush()).toBe(true);
  expect(told).toEqual(["rejected bad", "unavailable -"]);
  expect(refusedIn(folder).map(({ event }) => event.id)).toEqual(["bad"]);
  expect(service.events.map(({ id }) => id)).toEqual(["later"]);
  expect(client.stats()).toEqual({ delivered: 1, failed: 1, waiting: 0 });
  await client.close();
  expect(writersIn(folder)).toEqual([]);
});

it("does not keep a program waiting for a service that is away", async () => {
  const service = await startStandIn();
  service.always = { kind: "hang" };
  const folder = journalFolder();
  const timers = new ManualTimers();
  const client = keeping(folder, service.url, { clock: timers });
  await client.track(use);
  const closed = client.close({ timeoutMs: 50 });
  await timers.fire(50);
  expect(await closed).toBe(false);
  expect(writersIn(folder)).toHaveLength(1);
});

it("rejects when the journal cannot take the event: nobody believes that it is kept", async () => {
  const directory = join(journalFolder(), "file");
  writeFileSync(directory, "");
  const journal = diskJournal({ directory, onProblem: () => undefined });
  const client = new Meterbook({ url: "http://127.0.0.1:1", journal, retries: 0, onError: () => undefined });
  onTestFinished(async () => void (await client.close({ timeoutMs: 1 })));
  await expect(client.track(use)).rejects.toThrow(QueueFullError);
});

it("keeps events through a power cut where that is asked for", async () => {
  const service = await startStandIn();
  const journal = diskJournal({ directory: journalFolder(), durability: "power" });
  const client = new Meterbook({ url: service.url, journal });
  const results = await Promise.all(Array.from({ length: 50 }, (_, n) => client.track({ ...use, data: { n } })));
  expect(results.every(({ status }) => status === "kept")).toBe(true);
  expect(await client.close()).toBe(true);
  expect(service.stored.size).toBe(50);
});
