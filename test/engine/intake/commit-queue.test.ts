import { expect, it, vi } from "vitest";

import { MeterbookError } from "../../../src/core/errors.ts";
import { acceptEvents } from "../../../src/engine/intake/accept.ts";
import { commitQueue, type CommitQueue, type CommitQueueOptions } from "../../../src/engine/intake/commit-queue.ts";
import { areMetersChanged, newestCatalog } from "../../../src/engine/ingest/catalog-versions.ts";
import type { Store } from "../../../src/engine/ports.ts";
import { memoryStore } from "../../../src/memory/memory-store.ts";
import { onBothStores } from "../both-stores.ts";
import { MINUTE, START } from "../world.ts";
import {
  adopted,
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

interface Rig {
  readonly queue: CommitQueue;
  /** How many events each transaction had. */
  readonly transactions: number[];
  /** Lets the next batch be committed. */
  readonly turn: () => void;
}

/** A queue whose batches wait until the test lets them go. */
function rig(store: Store, options: Partial<CommitQueueOptions> = {}): Rig {
  const transactions: number[] = [];
  const deferred: (() => void)[] = [];
  const counted: Store = {
    ...store,
    ingest: async (entries, ...rest) => {
      transactions.push(entries.length);
      return store.ingest(entries, ...rest);
    },
  };
  const queue = commitQueue({
    store: counted,
    clock: { now: () => START },
    counting: (work) => work(catalog, owners({})),
    defer: (run) => void deferred.push(run),
    ...options,
  });
  return { queue, transactions, turn: () => deferred.shift()?.() };
}

const single = (id: string) => batchCall([cloudEvent({ id })]);

onBothStores("calls that wait", (make) => {
  it("are committed together, and each gets its own answer", async () => {
    const { queue, transactions, turn } = rig(await make());
    const replies = [queue.ingest(single("a")), queue.ingest(single("b")), queue.ingest(single("a"))];
    await vi.waitFor(() => expect(queue.waiting().calls).toBe(3));
    turn();
    expect((await Promise.all(replies)).map(statusesOf)).toEqual([["stored"], ["stored"], ["duplicate"]]);
    expect(transactions).toEqual([3]);
    expect(queue.waiting()).toEqual({ calls: 0, bytes: 0 });
  });

  it("are answered after the commit: what is asked then has them", async () => {
    const store = await make();
    const { queue, turn } = rig(store);
    const reply = queue.ingest(single("a"));
    turn();
    await reply;
    expect(await store.counts()).toMatchObject({ events: 1 });
  });

  it("make a batch of at most so many events, a larger call one of its own, and an atomic one too", async () => {
    let batches = 0;
    const counting: CommitQueueOptions["counting"] = (work) => {
      batches += 1;
      return work(catalog, owners({}));
    };
    const { queue, transactions, turn } = rig(await make(), { counting, bounds: { eventsMax: 2 } });
    const large = batchCall(["x", "y", "z"].map((id) => cloudEvent({ id })));
    const atomic = { ...single("d"), atomic: true };
    const calls = [single("a"), single("b"), single("c"), large, single("f"), atomic, single("e")];
    const replies = calls.map((call) => queue.ingest(call));
    await vi.waitFor(() => {
      turn();
      expect(transactions).toEqual([2, 1, 3, 1, 1, 1]);
    });
    // Judging again by newer meters must begin no transaction anew that was committed.
    expect(batches).toBe(6);
    expect((await Promise.all(replies)).map(statusesOf).flat()).toEqual(Array.from({ length: 9 }, () => "stored"));
  });

  it("beyond the bounds are answered busy, and nothing of them is kept", async () => {
    const store = await make();
    const { queue, turn } = rig(store, { bounds: { callsMax: 2 } });
    const [first, second, third] = [queue.ingest(single("a")), queue.ingest(single("b")), queue.ingest(single("c"))];
    expect(await third).toMatchObject({ kind: "refused", why: "busy" });
    turn();
    expect([...statusesOf(await first), ...statusesOf(await second)]).toEqual(["stored", "stored"]);
    expect(await store.counts()).toMatchObject({ events: 2 });
    const again = queue.ingest(single("c"));
    turn();
    expect(statusesOf(await again)).toEqual(["stored"]);
  });

  it("are bound by their bytes too; one alone is taken whatever it weighs", async () => {
    const { queue, turn } = rig(await make(), { bounds: { bytesMax: 10 } });
    const first = queue.ingest(single("a"));
    expect(await queue.ingest(single("b"))).toMatchObject({ why: "busy" });
    turn();
    expect(statusesOf(await first)).toEqual(["stored"]);
  });

  it("that are refused do not wait, and do not disturb the others", async () => {
    const { queue, turn } = rig(await make());
    const fine = queue.ingest(single("a"));
    expect(await queue.ingest(textCall("{"))).toMatchObject({ why: "not_json" });
    turn();
    expect(statusesOf(await fine)).toEqual(["stored"]);
  });

  it("of the simple usage route share the transaction", async () => {
    const { queue, transactions, turn } = rig(await make());
    const report = { id: "u", tenantId: "t", deviceId: null, meterId: "m", total: "1", timestamp: null, metadata: {} };
    const replies = [queue.report([report]), queue.ingest(single("a"))];
    await vi.waitFor(() => expect(queue.waiting().calls).toBe(2));
    turn();
    expect((await Promise.all(replies)).map(statusesOf)).toEqual([["stored"], ["stored"]]);
    expect(transactions).toEqual([2]);
  });

  it("are judged again by the newest meters when these changed meanwhile", async () => {
    const store = await make();
    let known = await adopted(store, sentTokens);
    const counting: CommitQueueOptions["counting"] = async (work) => {
      try {
        return await work(known, owners({}));
      } catch (error) {
        if (!areMetersChanged(error)) throw error;
        known = await newestCatalog(store, known);
        return work(known, owners({}));
      }
    };
    const { queue, turn } = rig(store, { counting });
    const reply = queue.ingest(single("a"));
    await adopted(store, { ...sentTokens, key: "prompts", aggregate: "count", value: null });
    turn();
    expect(statusesOf(await reply)).toEqual(["stored"]);
    expect((await store.buckets({})).map(({ meter }) => meter).toSorted()).toEqual(["chat_tokens", "prompts"]);
  });

  it("are all answered before it closes, and further ones are busy", async () => {
    const { queue, turn } = rig(await make());
    await queue.close();
    const other = rig(await make());
    const reply = other.queue.ingest(single("a"));
    await vi.waitFor(() => expect(other.queue.waiting().calls).toBe(1));
    const closed = other.queue.close();
    expect(await other.queue.ingest(single("b"))).toMatchObject({ why: "busy" });
    expect(await queue.ingest(single("c"))).toMatchObject({ why: "busy" });
    other.turn();
    await closed;
    expect(statusesOf(await reply)).toEqual(["stored"]);
    turn();
  });
});

/** A store that cannot take an event of this id, as a column that refuses a value. */
function refusing(store: Store, id: string, error: Error): Store {
  return {
    ...store,
    ingest: async (entries, ...rest) => {
      if (entries.some(({ event }) => event.id === id)) throw error;
      return store.ingest(entries, ...rest);
    },
  };
}

it("an event that cannot be stored is rejected, and fails neither its call nor the others", async () => {
  const store = memoryStore({ bucketMs: MINUTE });
  const { queue, turn } = rig(refusing(store, "poison", new TypeError("no column takes it")));
  const mixed = batchCall([cloudEvent({ id: "a" }), cloudEvent({ id: "poison" }), cloudEvent({ id: "b" })]);
  const replies = [queue.ingest(mixed), queue.ingest(single("c")), queue.ingest(single("poison"))];
  await vi.waitFor(() => expect(queue.waiting().calls).toBe(3));
  turn();
  const [first, second, third] = await Promise.all(replies);
  expect(resultsOf(first)).toMatchObject([
    { status: "stored", index: 0 },
    {
      status: "rejected",
      index: 1,
      id: "poison",
      problems: [{ message: "the event cannot be stored: no column takes it" }],
    },
    { status: "stored", index: 2 },
  ]);
  expect(statusesOf(second)).toEqual(["stored"]);
  expect(statusesOf(third)).toEqual(["rejected"]);
});

it("a store that fails while a call is taken event by event fails the call", async () => {
  const store = memoryStore({ bucketMs: MINUTE });
  const full = refusing(store, "b", new MeterbookError("METER_STORE_FAILED", "The disk is full."));
  const { queue, turn } = rig(refusing(full, "poison", new TypeError("no column takes it")));
  const reply = queue.ingest(batchCall([cloudEvent({ id: "poison" }), cloudEvent({ id: "b" })]));
  turn();
  await expect(reply).rejects.toThrow("The disk is full.");
});

it("an atomic call with an event that cannot be stored fails, and nothing of it is kept", async () => {
  const store = memoryStore({ bucketMs: MINUTE });
  const { queue, turn } = rig(refusing(store, "poison", new TypeError("no column takes it")));
  const call = batchCall([cloudEvent({ id: "a" }), cloudEvent({ id: "poison" })], { atomic: true });
  const reply = queue.ingest(call);
  turn();
  await expect(reply).rejects.toThrow("no column takes it");
  expect(await store.counts()).toMatchObject({ events: 0 });
});

it("a store that fails, fails all calls of the batch at once, and the queue goes on", async () => {
  const store = memoryStore({ bucketMs: MINUTE });
  const failure = new MeterbookError("METER_STORE_FAILED", "The disk is full.");
  const { queue, transactions, turn } = rig(refusing(store, "poison", failure));
  const replies = [queue.ingest(single("poison")), queue.ingest(single("a"))];
  const settled = Promise.allSettled(replies);
  await vi.waitFor(() => expect(queue.waiting().calls).toBe(2));
  turn();
  expect((await settled).map(({ status }) => status)).toEqual(["rejected", "rejected"]);
  expect(transactions).toEqual([2]);
  const next = queue.ingest(single("a"));
  turn();
  expect(statusesOf(await next)).toEqual(["stored"]);
});

it("the queue answers as if each call had come alone", async () => {
  const calls = [single("a"), batchCall([cloudEvent({ id: "a" }), cloudEvent({ id: "b", data: "x" })]), single("b")];
  const { queue, turn } = rig(memoryStore({ bucketMs: MINUTE }));
  const together = calls.map((call) => queue.ingest(call));
  turn();
  const alone = await acceptEvents(memoryStore({ bucketMs: MINUTE }), catalog, owners({}), calls, START);
  expect(await Promise.all(together)).toEqual(alone);
});
