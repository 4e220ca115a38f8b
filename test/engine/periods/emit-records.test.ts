import { EventEmitter, once } from "node:events";

import { expect, it } from "vitest";

import { emitRecords, type EmitSummary } from "../../../src/engine/periods/emit-records.ts";
import { listFinalRecords } from "../../../src/engine/periods/final-records.ts";
import { requeueRecords } from "../../../src/engine/periods/requeue.ts";
import type { RecordSink, SinkAnswer } from "../../../src/engine/ports.ts";
import { onBothStores } from "../both-stores.ts";
import { FEBRUARY, LATENESS, session, stream, type Stream } from "./metered-stream.ts";

/** A sink that keeps what it got and answers what a test says. */
function recordingSink(name: string, answer: (call: number) => SinkAnswer): RecordSink & { readonly got: string[] } {
  const got: string[] = [];
  return {
    name,
    got,
    emit: async ({ id }) => {
      got.push(id);
      return answer(got.length);
    },
  };
}

const taken: SinkAnswer = { kind: "taken" };
const failed: SinkAnswer = { kind: "failed", reason: "answered 500" };

/** A stream with one closed period of one meter, and its emission. */
async function closed(made: Promise<Stream>, sinks: readonly RecordSink[]) {
  const parts = await made;
  const { store, clock, send, close } = parts;
  clock.set(Date.parse("2026-01-20T00:00:00Z"));
  await send(session("a"));
  clock.set(FEBRUARY + LATENESS);
  await close(sinks.map(({ name }) => name));
  const emit = (): Promise<EmitSummary> => emitRecords({ store, sinks, clock, random: () => 0.5, holder: "one" });
  return { ...parts, emit };
}

onBothStores("handing records over", (make) => {
  const one = async (): Promise<Stream> => stream(await make(), { users: [["FinTech", "L1_Llama3"]] });

  it("reaches every sink once, and is remembered", async () => {
    const [a, b] = [recordingSink("a", () => taken), recordingSink("b", () => taken)];
    const { emit, records } = await closed(one(), [a, b]);
    expect(await emit()).toEqual({ delivered: 2, postponed: 0, failed: 0 });
    expect(await emit()).toEqual({ delivered: 0, postponed: 0, failed: 0 });
    expect([a.got.length, b.got]).toEqual([1, a.got]);
    const [record] = await records();
    expect(record?.sinks.map(({ sink, state, attempts }) => [sink, state, attempts])).toEqual([
      ["a", "delivered", 1],
      ["b", "delivered", 1],
    ]);
  });

  it("is tried again with a pause, under the same id, and one sink's failure is not another's", async () => {
    const [bad, good] = [
      recordingSink("bad", (call) => (call < 3 ? failed : taken)),
      recordingSink("good", () => taken),
    ];
    const { emit, clock, records } = await closed(one(), [bad, good]);
    expect(await emit()).toEqual({ delivered: 1, postponed: 1, failed: 0 });
    expect(await emit()).toEqual({ delivered: 0, postponed: 0, failed: 0 });
    clock.advance(60_000);
    expect(await emit()).toEqual({ delivered: 0, postponed: 1, failed: 0 });
    expect((await records())[0]?.sinks[0]).toMatchObject({ state: "pending", attempts: 2, error: "answered 500" });
    clock.advance(60_000);
    expect(await emit()).toEqual({ delivered: 1, postponed: 0, failed: 0 });
    expect(new Set(bad.got).size).toBe(1);
  });

  it("stands as failed when it is refused, or was tried for three days", async () => {
    const [gone, dead] = [
      recordingSink("gone", () => ({ kind: "refused", reason: "answered 410" })),
      recordingSink("dead", () => failed),
    ];
    const { emit, clock, records } = await closed(one(), [gone, dead]);
    expect(await emit()).toEqual({ delivered: 0, postponed: 1, failed: 1 });
    clock.advance(3 * 86_400_000);
    expect(await emit()).toEqual({ delivered: 0, postponed: 0, failed: 1 });
    expect((await records())[0]?.sinks.map(({ state, error }) => [state, error])).toEqual([
      ["failed", "answered 410"],
      ["failed", "answered 500"],
    ]);
    clock.advance(3 * 86_400_000);
    expect(await emit()).toEqual({ delivered: 0, postponed: 0, failed: 0 });
  });

  it("is done by one of two processes; the record of one that died is taken up after its minute", async () => {
    const dying = new EventEmitter();
    const dies = once(dying, "answer").then((): SinkAnswer => taken);
    let calls = 0;
    const sink: RecordSink = { name: "s", emit: () => ((calls += 1) === 1 ? dies : Promise.resolve(taken)) };
    const { emit, clock } = await closed(one(), [sink]);
    const first = emit();
    await expect.poll(() => calls).toBe(1);
    expect(await emit()).toEqual({ delivered: 0, postponed: 0, failed: 0 });
    clock.advance(60_000);
    expect(await emit()).toEqual({ delivered: 1, postponed: 0, failed: 0 });
    // The first one comes back from the dead with a failure, and does not undo what was delivered.
    dying.emit("error", new Error("killed"));
    await first;
    clock.advance(10 * 60_000);
    expect(await emit()).toEqual({ delivered: 0, postponed: 0, failed: 0 });
    expect(calls).toBe(2);
  });

  it("goes on with the other sinks, and the next round, where a sink takes nothing or takes long", async () => {
    const users = Array.from({ length: 8 }, (_, at) => [`user ${at}`, "L1_Llama3"] as const);
    const slow: RecordSink & { got: string[] } = { ...recordingSink("slow", () => taken), got: [] };
    const dead = recordingSink("dead", () => failed);
    const parts = await closed(stream(await make(), { users }), [dead, slow]);
    const { clock, store } = parts;
    const emit = () =>
      emitRecords({
        store,
        clock,
        random: () => 0.5,
        holder: "one",
        sinks: [
          dead,
          {
            name: "slow",
            emit: async ({ id }) => {
              slow.got.push(id);
              clock.advance(12_000);
              return taken;
            },
          },
        ],
      });
    expect(await emit()).toEqual({ delivered: 3, postponed: 3, failed: 0 });
    expect([dead.got.length, slow.got.length]).toEqual([3, 3]);
    for (let rounds = 0; rounds < 20; rounds += 1) await emit();
    expect(new Set(slow.got).size).toBe(8);
    expect(new Set(dead.got).size).toBe(8);
  });

  it("is ordered anew by an operator for what failed, and for nothing else", async () => {
    let isMended = false;
    const [gone, good] = [
      recordingSink("gone", () => (isMended ? taken : { kind: "refused", reason: "answered 410" })),
      recordingSink("good", () => taken),
    ];
    const { emit, records, desk, store } = await closed(one(), [gone, good]);
    await emit();
    const [record] = await records();
    const id = record?.id ?? "";
    expect((await listFinalRecords(store, { state: "failed", limit: 10 })).records.map((each) => each.id)).toEqual([
      id,
    ]);
    await expect(requeueRecords(desk(), { id, sink: "good" })).rejects.toMatchObject({ code: "METER_CONFLICT" });
    await expect(requeueRecords(desk(), { id: "fr_none" })).rejects.toMatchObject({ code: "METER_NOT_FOUND" });
    isMended = true;
    expect(await requeueRecords(desk(), {})).toEqual([{ id, sinks: ["gone"] }]);
    expect(await requeueRecords(desk(), {})).toEqual([]);
    expect(await emit()).toEqual({ delivered: 1, postponed: 0, failed: 0 });
    expect([gone.got, good.got]).toEqual([[id, id], [id]]);
    expect((await listFinalRecords(store, { state: "failed", limit: 10 })).records).toEqual([]);
  });
});
