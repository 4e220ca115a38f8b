import { expect, it } from "vitest";

import { acceptEvents, acceptUsage } from "../../../src/engine/intake/accept.ts";
import type { UsageReport } from "../../../src/engine/intake/accepted.ts";
import { limits } from "../../../src/engine/limits.ts";
import type { Store } from "../../../src/engine/ports.ts";
import { memoryStore } from "../../../src/memory/memory-store.ts";
import { onBothStores } from "../both-stores.ts";
import { chat, decimal, MINUTE, START } from "../world.ts";
import {
  batchCall,
  cloudEvent,
  owners,
  resultsOf,
  sentCatalog,
  sentTokens,
  statusesOf,
  textCall,
} from "./intake-world.ts";

const catalog = sentCatalog(sentTokens);
const nobody = owners({});

async function usage(store: Store): Promise<readonly string[]> {
  const buckets = await store.buckets({});
  return buckets.map(({ company, group, state }) => `${company} ${group} ${String(state.value)}`).toSorted();
}

async function ids(store: Store): Promise<readonly string[]> {
  const found = await store.events({ order: "oldest", limit: 100 });
  return found.map(({ event }) => event.id);
}

onBothStores("events that are sent", (make) => {
  it("are in the usage when the answer is given, under their customer and with their subject", async () => {
    const store = await make();
    const acme = owners({ acme: ["ann"] });
    const call = batchCall([cloudEvent({ id: "a" }), cloudEvent({ id: "b", subject: "bob", data: { tokens: "2.5" } })]);
    const [reply] = await acceptEvents(store, catalog, acme, [call], START);
    expect(reply).toEqual({
      kind: "results",
      kept: true,
      results: [
        { status: "stored", index: 0, source: "app", id: "a", held: [], unmetered: false },
        { status: "stored", index: 1, source: "app", id: "b", held: [], unmetered: false },
      ],
    });
    expect(await usage(store)).toEqual([
      `acme {"$subject":"ann","model":"small"} ${decimal("5")}`,
      `bob {"model":""} ${decimal("2.5")}`,
    ]);
  });

  it("are told in numbers to who wants no more, and one by one when something went wrong", async () => {
    const store = await make();
    const take = async (names: readonly string[], tokens: number, atomic = false) => {
      const events = names.map((id) => cloudEvent({ id, data: { tokens } }));
      const [reply] = await acceptEvents(store, catalog, nobody, [batchCall(events, { brief: true, atomic })], START);
      return reply;
    };
    expect(await take(["a", "b"], 1)).toEqual({ kind: "whole", stored: 2, duplicates: 0 });
    expect(await take(["a", "c"], 1, true)).toEqual({ kind: "whole", stored: 1, duplicates: 1 });
    expect(statusesOf(await take(["a", "d"], 2, true))).toEqual(["conflict", "stored"]);
    expect(statusesOf(await take(["a", "d"], 2))).toEqual(["conflict", "stored"]);
    expect(statusesOf(await take(["e", ""], 2))).toEqual(["stored", "rejected"]);
  });

  it("are kept as they were sent, with the time of their arrival beside their own", async () => {
    const store = await make();
    const sent = cloudEvent({ dataschema: "urn:x", traceid: "t1", data: { ["__proto__"]: { tokens: 9 }, n: null } });
    await acceptEvents(store, catalog, nobody, [batchCall([sent])], START + 7);
    const [stored] = await store.findEvents("e1");
    expect(stored?.event).toEqual({
      source: "app",
      id: "e1",
      type: "prompt",
      time: START,
      recordedAt: START + 7,
      company: "ann",
      user: null,
      subject: "ann",
      data: JSON.parse('{"__proto__":{"tokens":9},"n":null}'),
      attributes: { dataschema: "urn:x", traceid: "t1" },
    });
    expect(Object.keys(Object(stored?.event.data))).toEqual(["__proto__", "n"]);
  });

  it("without a time happened when they came, and say nothing new when they come again later", async () => {
    const store = await make();
    const call = batchCall([cloudEvent({ time: undefined })]);
    await acceptEvents(store, catalog, nobody, [call], START);
    const [again] = await acceptEvents(store, catalog, nobody, [call], START + MINUTE);
    expect(statusesOf(again)).toEqual(["duplicate"]);
    expect((await store.findEvents("e1"))[0]?.event).toMatchObject({ time: START });
  });

  it("are told apart within one call and over calls of one transaction", async () => {
    const store = await make();
    const first = batchCall([cloudEvent(), cloudEvent(), cloudEvent({ data: { tokens: 6 } })]);
    const second = batchCall([cloudEvent(), cloudEvent({ source: "other" })]);
    const replies = await acceptEvents(store, catalog, nobody, [first, second], START);
    expect(replies.map(statusesOf)).toEqual([
      ["stored", "duplicate", "conflict"],
      ["duplicate", "stored"],
    ]);
    expect(await store.counts()).toMatchObject({ events: 2, duplicates: 2, conflicts: 1 });
  });

  it("are duplicates also after their subject got a customer: who pays was found out here", async () => {
    const store = await make();
    await acceptEvents(store, catalog, nobody, [batchCall([cloudEvent()])], START);
    const [again] = await acceptEvents(store, catalog, owners({ acme: ["ann"] }), [batchCall([cloudEvent()])], START);
    expect(statusesOf(again)).toEqual(["duplicate"]);
  });

  it("that are wrong are rejected one by one, with the place of each mistake", async () => {
    const store = await make();
    const call = batchCall([cloudEvent({ id: "ok" }), cloudEvent({ id: "x", subject: undefined, data: "text" })]);
    const [reply] = await acceptEvents(store, catalog, nobody, [call], START);
    expect(resultsOf(reply)[1]).toEqual({
      status: "rejected",
      index: 1,
      source: "app",
      id: "x",
      problems: [
        { pointer: "/subject", message: "subject is missing" },
        { pointer: "/data", message: 'data must be a JSON object, and is "text"' },
      ],
    });
    expect(await ids(store)).toEqual(["ok"]);
  });

  it("that no meter counts or holds are kept and said to be unmetered, though a meter may be for any type", async () => {
    const store = await make();
    const picky = sentCatalog({ ...sentTokens, match: [{ path: "data.model", op: "eq", value: "large" }] });
    const anyType = sentCatalog({ ...sentTokens, eventType: null, match: picky.meters[0]?.match ?? [] });
    const sent = [
      cloudEvent({ id: "a", type: "other" }),
      cloudEvent({ id: "b" }),
      cloudEvent({ id: "c", data: { tokens: 1, model: "large" } }),
      cloudEvent({ id: "d", data: { tokens: "many", model: "large" } }),
    ];
    const said = [{ unmetered: true }, { unmetered: true }, { unmetered: false }, { unmetered: false }];
    for (const judging of [picky, anyType]) {
      const [reply] = await acceptEvents(store, judging, nobody, [batchCall(sent)], START);
      expect(resultsOf(reply)).toMatchObject(said);
    }
    expect(await ids(store)).toEqual(["a", "b", "c", "d"]);
  });

  it("say which meters hold them and why, the future ones too", async () => {
    const store = await make();
    const late = new Date(START + limits.futureMs + 1).toISOString();
    const call = batchCall([cloudEvent({ id: "a", data: { tokens: "many" } }), cloudEvent({ id: "b", time: late })]);
    const [reply] = await acceptEvents(store, catalog, nobody, [call], START);
    expect(resultsOf(reply)).toMatchObject([
      {
        status: "stored",
        held: [{ meter: "chat_tokens", reason: "not_a_number", detail: expect.stringContaining("many") }],
      },
      { status: "stored", held: [{ meter: "chat_tokens", reason: "future" }] },
    ]);
    expect(await usage(store)).toEqual([]);
  });

  it("in conflict are held by no meter: the first one is, or counts", async () => {
    const store = await make();
    const call = batchCall([cloudEvent(), cloudEvent({ data: { tokens: "many" } })]);
    const [reply] = await acceptEvents(store, catalog, nobody, [call], START);
    expect(resultsOf(reply)).toMatchObject([{ status: "stored" }, { status: "conflict", held: [] }]);
  });

  it("of an atomic call are all kept, or none: a conflict or a mistake keeps out the others", async () => {
    const store = await make();
    await acceptEvents(store, catalog, nobody, [batchCall([cloudEvent()])], START);
    const atomic = { atomic: true };
    const calls = [
      batchCall([cloudEvent({ id: "n1" }), cloudEvent({ data: { tokens: 99 } })], atomic),
      batchCall([cloudEvent({ id: "n2" }), cloudEvent({ id: "bad", specversion: "2.0" })], atomic),
      batchCall([cloudEvent({ id: "n3" }), cloudEvent()], atomic),
    ];
    const replies = await acceptEvents(store, catalog, nobody, calls, START);
    expect(replies.map((reply) => reply.kind === "results" && reply.kept)).toEqual([false, false, true]);
    expect(replies.map(statusesOf)).toEqual([
      ["stored", "conflict"],
      ["stored", "rejected"],
      ["stored", "duplicate"],
    ]);
    expect(await ids(store)).toEqual(["e1", "n3"]);
    expect(await store.counts()).toMatchObject({ events: 2, conflicts: 0, duplicates: 1 });
  });

  it("see what calls before them in the same gathering stored, atomic or not", async () => {
    const store = await make();
    const plain = batchCall([cloudEvent()]);
    const atomic = batchCall([cloudEvent({ data: { tokens: 6 } })], { atomic: true });
    const replies = await acceptEvents(store, catalog, nobody, [plain, textCall(""), atomic, plain], START);
    expect(replies.map((reply) => (reply.kind === "refused" ? reply.why : statusesOf(reply)))).toEqual([
      ["stored"],
      "empty",
      ["conflict"],
      ["duplicate"],
    ]);
  });

  it("of a time whose events may be deleted are refused: nobody could tell a repeat", async () => {
    const store = await make();
    await acceptEvents(store, catalog, nobody, [batchCall([cloudEvent()])], START);
    const [{ seq } = { seq: 0 }] = await store.findEvents("e1");
    expect(await store.purge([seq], [], 0)).toBe(1);
    const calls = [batchCall([cloudEvent(), cloudEvent({ id: "e2", time: new Date(START + 1).toISOString() })])];
    const [reply] = await acceptEvents(store, catalog, nobody, calls, START);
    expect(resultsOf(reply)).toMatchObject([
      { status: "rejected", problems: [{ pointer: "/time" }] },
      { status: "stored" },
    ]);
  });

  it("judged by customers of before are not stored", async () => {
    const store = await make();
    const change = { kind: "customer", id: "c", seen: null, names: ["ann"], body: {}, author: "test" } as const;
    await store.changeEntries([change], START);
    await expect(acceptEvents(store, catalog, nobody, [batchCall([cloudEvent()])], START)).rejects.toMatchObject({
      code: "METER_METERS_CHANGED",
    });
    expect(await ids(store)).toEqual([]);
  });

  it("do not touch an event of the middleware with another source", async () => {
    const store = await make();
    await store.ingest([{ event: chat("1", { id: "e1" }), counts: [], holds: [] }], START);
    const [reply] = await acceptEvents(store, catalog, nobody, [batchCall([cloudEvent()])], START);
    expect(statusesOf(reply)).toEqual(["stored"]);
  });

  it("of the simple usage route count for their tenant under their meter's type", async () => {
    const store = await make();
    const simple = sentCatalog({
      ...sentTokens,
      eventType: "gpu_seconds",
      value: "data.total_usage",
      groupBy: { device: "data.device_id" },
    });
    const report: UsageReport = {
      id: "u1",
      tenantId: "tenant_1",
      deviceId: "us-east",
      meterId: "gpu_seconds",
      total: "24.000000000001",
      timestamp: START,
      metadata: { job: "j" },
    };
    const wrong = { ...report, id: "u2", tenantId: "", total: "many", timestamp: 1.5 };
    const far = { ...report, id: "u3", timestamp: 253_402_300_800_000 };
    const reply = await acceptUsage(store, simple, nobody, [report, report, wrong, far], START);
    expect(resultsOf(reply)).toMatchObject([
      { status: "stored", source: "meterbook/usage", id: "u1" },
      { status: "duplicate" },
      { status: "rejected", problems: [{ pointer: "/tenantId" }, { pointer: "/total" }, { pointer: "/timestamp" }] },
      { status: "rejected", problems: [{ pointer: "/timestamp" }] },
    ]);
    expect(await usage(store)).toEqual([`tenant_1 {"device":"us-east"} ${decimal("24.000000000001")}`]);
    const [stored] = await store.findEvents("u1");
    expect(stored?.event.data).toEqual({
      total_usage: "24.000000000001",
      device_id: "us-east",
      metadata: { job: "j" },
    });
  });
});

it("a body that is no UTF-8, too large or too long a list is refused whole", async () => {
  const store = memoryStore({ bucketMs: MINUTE });
  const calls = [
    { ...textCall(""), body: new Uint8Array([0x5b, 0xff, 0x5d]) },
    { ...textCall(""), body: new Uint8Array(limits.sentBodyBytesMax + 1) },
    textCall(`[${"0,".repeat(limits.sentEventsMax)}0]`),
  ];
  const replies = await acceptEvents(store, catalog, nobody, calls, START);
  expect(replies.map((reply) => reply.kind === "refused" && reply.why)).toEqual(["not_json", "too_large", "too_many"]);
  const report = { id: "u", tenantId: "t", deviceId: null, meterId: "m", total: "1", timestamp: null, metadata: {} };
  const reports = Array.from({ length: limits.sentEventsMax + 1 }, () => report);
  expect(await acceptUsage(store, catalog, nobody, reports, START)).toMatchObject({ why: "too_many" });
});
