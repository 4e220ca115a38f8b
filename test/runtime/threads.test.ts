import { mkdirSync, rmdirSync } from "node:fs";
import { join } from "node:path";

import { describe, expect, it, onTestFinished } from "vitest";

import { ingest } from "../../src/engine/ingest/ingest.ts";
import { writerHost } from "../../src/runtime/host.ts";
import { localBackend } from "../../src/runtime/local-backend.ts";
import { openNode, type MeterNode } from "../../src/runtime/node.ts";
import { systemClock } from "../../src/runtime/system.ts";
import { CHAT_YAML, workspace } from "../cli/cli.ts";
import { threads, type Threads } from "./served-threads.ts";

const SLOW = 60_000;

async function nodeBeside({ settings }: Threads): Promise<MeterNode> {
  const node = await openNode({
    settings,
    clock: systemClock,
    ownWriter: null,
    adoptFrom: null,
    onNotice: () => undefined,
  });
  onTestFinished(() => node.close());
  return node;
}

const customerOrder = (name: string) => ({ draft: { name }, author: "operator:ann" }) as const;
const event = (id: string) =>
  ({ source: "s", id, type: "export_done", time: systemClock.now(), company: "acme", user: null }) as const;

describe("the service's threads", () => {
  it(
    "begin nothing for which nobody waits any more",
    async () => {
      const { link, remote } = threads();
      await link.ready(SLOW);
      await expect(link.call("createCustomer", customerOrder("late"), -1)).rejects.toMatchObject({
        code: "METER_SERVER_BUSY",
      });
      await link.call("createCustomer", customerOrder("in time"), SLOW);
      const { items } = await remote.backend.listCustomers({ page: 1, pageSize: 10, includeDeleted: false });
      expect(items.map(({ name }) => name)).toEqual(["in time"]);
    },
    SLOW,
  );

  it(
    "answer from the database that the writing one makes, and see what was committed just now",
    async () => {
      const made = threads();
      const { backend } = made.remote;
      const before = await backend.exportEvents({ afterSeq: 0, limit: 10 });
      expect(before).toEqual({ events: [], next: null });
      const node = await nodeBeside(made);
      for (const id of ["a", "b", "c"]) {
        await ingest(node.store, node.catalog, [event(id)], systemClock.now());
        const { events } = await backend.exportEvents({ afterSeq: 0, limit: 10 });
        expect(events.at(-1)?.event.id).toBe(id);
      }
      const first = await backend.exportEvents({ afterSeq: 0, limit: 2 });
      expect(first.events.map((each) => each.event.id)).toEqual(["a", "b"]);
      const second = await backend.exportEvents({ afterSeq: first.next ?? 0, limit: 2 });
      expect(second).toMatchObject({ events: [{ event: { id: "c" } }], next: null });
      expect((await backend.figures({})).counts.events).toBe(3);
      expect(backend.settings.storage.path).toBe(made.settings.storage.path);
    },
    SLOW,
  );

  it(
    "say the same as the Backend without threads",
    async () => {
      const made = threads();
      await made.link.ready(SLOW);
      const node = await nodeBeside(made);
      await ingest(node.store, node.catalog, [event("a")], systemClock.now());
      const local = localBackend(writerHost(node));
      const query = { afterSeq: 0, limit: 10 };
      expect(await made.remote.backend.exportEvents(query)).toEqual(await local.exportEvents(query));
      const [{ counts, holds }, figures] = [await local.figures({}), await made.remote.backend.figures({})];
      expect(figures).toMatchObject({ counts, holds, backlogBytes: 0 });
    },
    SLOW,
  );

  it(
    "leave no call hanging when the writing one dies, and answer again once another stands",
    async () => {
      const { link, remote, notices } = threads();
      await link.ready(SLOW);
      // What no release of ours sends ends the thread, as a fault of ours would.
      link.sendLines(undefined as unknown as string[]);
      const calls = Array.from({ length: 5 }, () => remote.backend.figures({}));
      const outcomes = await Promise.allSettled(calls);
      expect(outcomes.map((each) => (each.status === "rejected" ? each.reason.code : "answered"))).toEqual(
        Array.from({ length: 5 }, () => "METER_SERVER_BUSY"),
      );
      expect(remote.standing().writing).toBe(0);
      await link.flush(SLOW);
      expect((await remote.backend.figures({})).counts.events).toBe(0);
      expect(remote.standing().restarts).toBe(1);
      expect(notices.map(({ code }) => code)).toContain("METER_WORKER_FAILED");
    },
    SLOW,
  );

  it(
    "pass an edited configuration on, and keep the good one when an edit cannot be put into force",
    async () => {
      const made = threads();
      const { settings, remote, link } = made;
      await link.ready(SLOW);
      const [meter] = settings.meters;
      if (meter === undefined) throw new Error("the configuration has a meter");
      const added = { ...settings, meters: [...settings.meters, { ...meter, key: "more_tokens" }] };
      await remote.adopt(added, systemClock.now());
      expect(remote.backend.settings.meters.map(({ key }) => key)).toContain("more_tokens");
      const node = await nodeBeside(made);
      expect(node.catalog.meters.map(({ key }) => key)).toContain("more_tokens");
      await ingest(node.store, node.catalog, [{ ...event("a"), type: "http.request" }], systemClock.now());
      const broken = {
        ...settings,
        meters: settings.meters.map((each) => (each.key === "exports" ? { ...each, aggregate: "max" as const } : each)),
      };
      await expect(remote.adopt(broken, systemClock.now())).rejects.toMatchObject({ code: "METER_AGGREGATE_CHANGED" });
      expect(remote.backend.settings.meters.map(({ key }) => key)).toContain("more_tokens");
      expect((await remote.backend.figures({})).counts.events).toBe(1);
    },
    SLOW,
  );

  it(
    "tell the same failures as the engine does, with their places",
    async () => {
      const { backend } = threads().remote;
      await expect(backend.getMeter({ idOrKey: "nobody" })).rejects.toMatchObject({ code: "METER_NOT_FOUND" });
      const draft = { key: "made", eventType: "made", aggregate: "count" } as const;
      const created = await backend.createMeter({ draft, author: "test" });
      expect(await backend.getMeter({ idOrKey: "made" })).toEqual(created);
      await expect(backend.createMeter({ draft, author: "test" })).rejects.toMatchObject({ code: "METER_CONFLICT" });
      const wrong = backend.createMeter({ draft: { ...draft, key: "No Key" }, author: "test" });
      await expect(wrong).rejects.toMatchObject({
        code: "METER_REQUEST_INVALID",
        mistakes: [expect.objectContaining({ pointer: "/key" })],
      });
    },
    SLOW,
  );

  it(
    "answer events while a new meter counts the past",
    async () => {
      const { backend } = threads().remote;
      const sent = (name: string, count: number) =>
        backend.ingest({
          body: new TextEncoder().encode(
            JSON.stringify(
              Array.from({ length: count }, (_, at) => ({
                specversion: "1.0",
                id: `${name}-${at}`,
                source: "s",
                type: "made",
                subject: "acme",
              })),
            ),
          ),
          contentType: "application/cloudevents-batch+json",
          headers: {},
          atomic: false,
        });
      for (let call = 0; call < 10; call++) await sent(`before-${call}`, 1_000);
      const order: string[] = [];
      const draft = { key: "made", eventType: "made", aggregate: "count" } as const;
      const creating = backend.createMeter({ draft, author: "test" }).then(() => order.push("meter"));
      const sending = sent("meanwhile", 1).then(() => order.push("event"));
      await Promise.all([creating, sending]);
      expect(order).toEqual(["event", "meter"]);
      const { rows } = await backend.queryMeter({ meter: "made", window: null, zone: "UTC", groupBy: [], fill: false });
      expect(rows.map(({ value }) => value)).toEqual(["10001"]);
    },
    SLOW,
  );

  it(
    "say at once why the database cannot be opened, and open it when it can be",
    async () => {
      const directory = workspace(CHAT_YAML);
      const path = join(directory, "meter.db");
      mkdirSync(path);
      const { link, remote } = threads(CHAT_YAML, directory);
      const refusal = { code: "METER_STORE_UNREADABLE", message: expect.stringContaining("it is a directory") };
      await expect(link.ready(SLOW)).rejects.toMatchObject(refusal);
      await expect(remote.backend.exportEvents({ afterSeq: 0, limit: 1 })).rejects.toMatchObject(refusal);
      rmdirSync(path);
      const isOpen = (): Promise<boolean> =>
        link.ready(SLOW).then(
          () => true,
          () => false,
        );
      await expect.poll(isOpen, { timeout: SLOW }).toBe(true);
      expect(await remote.backend.exportEvents({ afterSeq: 0, limit: 1 })).toEqual({ events: [], next: null });
    },
    SLOW,
  );

  it(
    "refuse what comes after they were closed",
    async () => {
      const { link, remote } = threads();
      await remote.backend.figures({});
      await remote.close();
      await link.close(SLOW);
      await expect(remote.backend.figures({})).rejects.toMatchObject({ code: "METER_SERVER_BUSY" });
      await expect(remote.backend.exportEvents({ afterSeq: 0, limit: 1 })).rejects.toMatchObject({
        code: "METER_SERVER_BUSY",
      });
    },
    SLOW,
  );
});
