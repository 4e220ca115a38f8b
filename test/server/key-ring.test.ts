import { once, EventEmitter } from "node:events";

import { describe, expect, it } from "vitest";

import { limits } from "../../src/engine/limits.ts";
import type { KeyRing } from "../../src/engine/registry/api-keys.ts";
import { knownKeys, type KnownKeys } from "../../src/server/key-ring.ts";
import { manualClock, type ManualClock } from "../../src/testing/manual-clock.ts";
import { START } from "../engine/world.ts";
import { hostedBackend } from "./hosted-backend.ts";

const logger = { debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined };

interface Rig {
  readonly keys: KnownKeys;
  readonly clock: ManualClock;
  readonly make: () => Promise<string>;
  readonly revoke: (text: string) => Promise<unknown>;
  /** How often the keys were asked for. */
  readonly asked: () => number;
  /** Lets answers wait for `release` once they were `read`, until `passOthers`. */
  readonly hold: () => {
    readonly read: Promise<unknown>;
    readonly release: () => void;
    readonly passOthers: () => void;
  };
}

async function rig(): Promise<Rig> {
  const clock = manualClock(START);
  const backend = await hostedBackend({ clock });
  const gate = new EventEmitter();
  let [asked, held]: [number, Promise<unknown> | null] = [0, null];
  const keyRing = async (query: { readonly known: number | null }): Promise<KeyRing | null> => {
    asked += 1;
    const answer = await backend.keyRing(query);
    const waiting = held;
    gate.emit("read");
    await waiting;
    return answer;
  };
  return {
    keys: knownKeys({ backend: { keyRing, noteKeysUsed: (order) => backend.noteKeysUsed(order) }, clock, logger }),
    clock,
    make: async () => (await backend.createKey({ draft: { name: "x", scopes: ["read"] }, author: "a" })).text,
    revoke: (text) => backend.revokeKey({ id: text.slice(3, 11), author: "a" }),
    asked: () => asked,
    hold: () => {
      const opened = once(gate, "open");
      held = opened;
      return {
        read: once(gate, "read"),
        release: () => void gate.emit("open"),
        passOthers: () => void (held = null),
      };
    },
  };
}

describe("the keys that are known", () => {
  it("are asked for once a second, however many calls there are", async () => {
    const { keys, clock, make, asked } = await rig();
    const text = await make();
    const found = await Promise.all(Array.from({ length: 50 }, () => keys.find(text)));
    expect([found.every((key) => key !== null), asked()]).toEqual([true, 1]);
    clock.advance(limits.keyRingCheckMs - 1);
    await keys.find(text);
    expect(asked()).toBe(1);
    clock.advance(1);
    await keys.find(text);
    expect(asked()).toBe(2);
  });

  it("are asked for anew when the clock is set back", async () => {
    const { keys, clock, make, revoke } = await rig();
    const text = await make();
    expect(await keys.find(text)).not.toBeNull();
    await revoke(text);
    clock.advance(-3_600_000);
    expect(await keys.find(text)).toBeNull();
  });

  it.each(["first", "last"])(
    "are not those of an answer that was under way when a key ended, if it comes %s",
    async (order) => {
      const { keys, make, revoke, hold } = await rig();
      const text = await make();
      const { read, release, passOthers } = hold();
      const before = keys.find(text);
      await read;
      // The old answer has been read, and waits; now the key ends, and this process knows.
      await revoke(text);
      keys.forget();
      passOthers();
      if (order === "first") release();
      const meanwhile = order === "first" ? null : await keys.find(text);
      release();
      await before;
      expect([meanwhile, await keys.find(text)]).toEqual([null, null]);
    },
  );

  it("are without any only until the first is made", async () => {
    const { keys, make, revoke } = await rig();
    expect(await keys.isWithoutKeys()).toBe(true);
    const text = await make();
    keys.forget();
    expect(await keys.isWithoutKeys()).toBe(false);
    await revoke(text);
    keys.forget();
    expect(await keys.isWithoutKeys()).toBe(false);
  });
});
