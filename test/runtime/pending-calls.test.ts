import { describe, expect, it } from "vitest";

import { MeterbookError } from "../../src/core/errors.ts";
import { PendingCalls } from "../../src/runtime/pending-calls.ts";
import { receivedFailure, sentFailure } from "../../src/runtime/sent-failure.ts";

const LONG = 60_000;

function pending(callsMax = 2) {
  const waiting: boolean[] = [];
  const sent: number[] = [];
  const calls = new PendingCalls({ callsMax, onWaiting: (isAnyone) => waiting.push(isAnyone) });
  const ask = (timeoutMs = LONG) => calls.ask((call) => sent.push(call) > 0, timeoutMs);
  return { calls, ask, sent, waiting };
}

function uncloneable(): never {
  throw new TypeError("could not be cloned");
}

describe("calls that wait for another thread", () => {
  it("are answered each by its number, in any order", async () => {
    const { calls, ask, sent } = pending();
    const [first, second] = [ask(), ask()];
    calls.answer(sent[1] ?? 0, "second");
    calls.answer(sent[0] ?? 0, "first");
    expect(await Promise.all([first, second])).toEqual(["first", "second"]);
    expect(calls.size).toBe(0);
  });

  it("are bounded: one more is refused without being sent", async () => {
    const { calls, ask, sent } = pending(2);
    const under = [ask(), ask()];
    await expect(ask()).rejects.toMatchObject({ code: "METER_SERVER_BUSY" });
    expect(sent).toHaveLength(2);
    for (const call of sent) calls.answer(call, call);
    await Promise.all(under);
    const again = ask();
    calls.answer(sent.at(-1) ?? 0, "taken");
    expect(await again).toBe("taken");
  });

  it("end by themselves when nobody answers, and a late answer harms nobody", async () => {
    const { calls, ask, sent } = pending();
    await expect(ask(1)).rejects.toMatchObject({ code: "METER_SERVER_BUSY" });
    calls.answer(sent[0] ?? 0, "late");
    expect(calls.size).toBe(0);
  });

  it("fail at once when there is no thread to send them to, or they cannot be sent", async () => {
    const { calls, waiting } = pending();
    await expect(calls.ask(() => false, LONG)).rejects.toMatchObject({ code: "METER_SERVER_BUSY" });
    await expect(calls.ask(uncloneable, LONG)).rejects.toThrow("could not be cloned");
    expect(calls.size).toBe(0);
    expect(waiting).toEqual([true, false, true, false]);
  });

  it("all fail together when their thread stops, and say when the last one is gone", async () => {
    const { calls, ask, waiting } = pending();
    const under = [ask(), ask()];
    calls.failAll("It stopped.");
    for (const outcome of await Promise.allSettled(under))
      expect(outcome).toMatchObject({
        status: "rejected",
        reason: { code: "METER_SERVER_BUSY", message: "It stopped." },
      });
    expect(waiting).toEqual([true, false]);
  });
});

describe("a failure on its way between threads", () => {
  it("is the same error on the other side: code, sentence, remedy and mistakes", () => {
    const mistakes = [{ pointer: "/key", message: "is missing" }];
    const error = new MeterbookError("METER_REQUEST_INVALID", "The meter has mistakes.", {
      remedy: "Mend it.",
      mistakes,
    });
    const received = receivedFailure(structuredClone(sentFailure(error)));
    expect(received).toBeInstanceOf(MeterbookError);
    expect(received).toMatchObject({ code: error.code, message: error.message, remedy: "Mend it.", mistakes });
    expect(received.stack).toBe(error.stack);
  });

  it("stays a fault of ours when it was one", () => {
    const received = receivedFailure(structuredClone(sentFailure(new RangeError("out of range"))));
    expect(received).not.toBeInstanceOf(MeterbookError);
    expect(received.message).toBe("out of range");
    expect(receivedFailure(structuredClone(sentFailure("a text"))).message).toBe("a text");
  });
});
