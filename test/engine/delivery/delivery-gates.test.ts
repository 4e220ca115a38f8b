import { describe, expect, it } from "vitest";

import { gateFor, type Gates } from "../../../src/engine/delivery/delivery-gates.ts";
import { limits } from "../../../src/engine/limits.ts";
import { openCoverage } from "../../../src/engine/outbox/coverage.ts";
import { NO_SHADOW, type Shadow } from "../../../src/engine/outbox/shadow.ts";
import { SHADOW, type AttemptOutcome, type BilledPeriod, type OutboxRow } from "../../../src/engine/ports.ts";
import { memoryStore } from "../../../src/memory/memory-store.ts";
import { billedAlways } from "../outbox/closing-world.ts";
import { DAY, decimal, HOUR, MINUTE, START } from "../world.ts";

const NOW = START + 2 * HOUR;
const ON: Shadow = { isOn: true, covers: () => false };

/** A report of five tokens that was never tried. */
const ROW: OutboxRow = {
  rowId: 7,
  kind: "usage",
  cancels: null,
  meter: "chat_tokens",
  reportAs: "chat_tokens",
  company: "acme",
  customer: "cus_1",
  windowStart: START,
  windowEnd: START + HOUR,
  sequence: 0,
  raw: decimal("5"),
  value: decimal("5"),
  mode: "delta",
  reported: decimal("5"),
  late: null,
  timestamp: START,
  identifier: "mb1_x",
  state: "sending",
  reason: null,
  createdAt: START + HOUR,
  firstAttemptAt: null,
  lastAttemptAt: null,
  resentAt: null,
  absentSince: null,
  attempts: 0,
  nextAttemptAt: 0,
  acceptedAt: null,
  settledAt: null,
  requestIds: [],
};
const TRIED = { firstAttemptAt: NOW - HOUR, lastAttemptAt: NOW - HOUR, attempts: 1 };

function gatesWith(changes: Partial<Gates> = {}): Gates {
  return {
    store: memoryStore({ bucketMs: MINUTE }),
    shadow: NO_SHADOW,
    coverage: billedAlways(async () => []),
    graceMs: HOUR,
    standing: async () => ({ kind: "ready", keepsLast: null }),
    ...changes,
  };
}

/** What stands against a row: the kind of gate or, where it is closed, of the outcome, with its reason. */
async function gate(row: Partial<OutboxRow>, gates: Partial<Gates> = {}, now = NOW): Promise<readonly unknown[]> {
  const found = await gateFor(gatesWith(gates), { ...ROW, ...row }, now);
  if (found.kind === "closed") return [found.outcome.kind, reasonOf(found.outcome)];
  return found.kind === "readBack" ? [found.kind, found.mayResend] : [found.kind];
}

function reasonOf(outcome: AttemptOutcome): string {
  return outcome.reason ?? "";
}

/** Stores that hold other rows as they are stated here. */
function beside(...rows: readonly Partial<OutboxRow>[]): Pick<Gates, "store"> {
  const others = rows.map((row, at) => ({ ...ROW, rowId: 100 + at, ...row }));
  return { store: { ...memoryStore({ bucketMs: MINUTE }), outbox: async () => others } };
}

const keepsHour: Partial<Gates> = { standing: async () => ({ kind: "ready", keepsLast: "hour" }) };
const missing: Partial<Gates> = { standing: async () => ({ kind: "missing", reason: "none is called so" }) };
const mismatch: Partial<Gates> = { standing: async () => ({ kind: "mismatch", reason: "it has another window" }) };
const OLD = START + limits.reportAgeMaxMs + 1;

/** The period of the row, whose invoice is final an hour after its end, less some safety. */
const PERIOD: BilledPeriod = {
  customer: "cus_1",
  reportAs: "chat_tokens",
  from: START - DAY,
  to: START + 1,
  renews: true,
};
const billed: Partial<Gates> = {
  coverage: billedAlways(async ({ customer, reportAs }) =>
    customer === "cus_1" && reportAs === "chat_tokens" ? [PERIOD, { ...PERIOD, from: START + 1, to: START + DAY }] : [],
  ),
};
const FINAL = PERIOD.to + HOUR - limits.finalSafetyMs + 1;

describe("a report that was never tried", () => {
  it("goes out, also before its meter is there: Stripe's own answer says what becomes of it", async () => {
    expect(await gate({})).toEqual(["open"]);
    expect(await gate({}, missing)).toEqual(["open"]);
    expect(await gate({ mode: "set" }, missing)).toEqual(["open"]);
  });

  it("is refused when it is too old for Stripe, and not a moment before", async () => {
    expect(await gate({}, {}, OLD - 1)).toEqual(["open"]);
    expect(await gate({}, {}, OLD)).toEqual([
      "dead",
      expect.stringContaining("too_old: Stripe takes usage of the last"),
    ]);
  });

  it("is held again when its invoice became final, and not a moment before", async () => {
    expect(await gate({}, billed, FINAL - 1)).toEqual(["open"]);
    expect(await gate({}, billed, FINAL)).toEqual(["held", expect.stringContaining("late: its invoice became final")]);
  });

  it("does not go by invoices where it corrects a surplus, or has no customer", async () => {
    expect(await gate({ kind: "adjust" }, billed, FINAL)).toEqual(["open"]);
    expect(await gate({ customer: null }, { coverage: { periods: asked, answer: asked } }, FINAL)).toEqual(["open"]);
  });
});

describe("a report that no subscription bills", () => {
  const lane = { customer: "cus_1", reportAs: "chat_tokens" };
  const unbilled = (answer: "none" | "unasked"): Partial<Gates> => ({
    coverage: {
      periods: async () => [],
      answer: async (about, timestamp) => {
        expect([about, timestamp]).toEqual([lane, START]);
        return answer;
      },
    },
  });
  const reason = "no_subscription: cus_1 has no subscription with a price of meter chat_tokens at this time";

  it("is held again, but not one that an operator ordered", async () => {
    expect(await gate({}, unbilled("none"))).toEqual(["held", reason]);
    expect(await gate({ kind: "adjust" }, unbilled("none"))).toEqual(["open"]);
    expect(await gate({ customer: null }, unbilled("none"))).toEqual(["open"]);
    expect(await gate({}, unbilled("none"), OLD)).toEqual(["dead", expect.stringContaining("too_old")]);
  });

  it("is read back once it was tried, and never sent again, unless it is a total", async () => {
    expect(await gate(TRIED, unbilled("none"))).toEqual(["readBack", "no_subscription"]);
    expect(await gate({ ...TRIED, mode: "set" }, { ...unbilled("none"), ...keepsHour })).toEqual(["open"]);
  });

  it("waits a minute while nobody may be asked: it is neither held nor sent, and no books are read for it", async () => {
    const nextAttemptAt = NOW + limits.unaskedWaitMs;
    const why = "waits until the biller can be asked whether a subscription bills it";
    const old = { ...TRIED, firstAttemptAt: NOW - limits.resendSafeMs };
    for (const row of [{}, TRIED, old])
      expect(await gateFor(gatesWith(unbilled("unasked")), { ...ROW, ...row }, NOW)).toEqual({
        kind: "closed",
        outcome: { kind: "wait", reason: why, nextAttemptAt },
      });
  });

  it("is not asked for where the answer would change nothing", async () => {
    const unasked = { answer: asked };
    const none = { coverage: { ...unasked, periods: async () => [] } };
    expect(await gate({}, none, OLD)).toEqual(["dead", expect.stringContaining("too_old")]);
    expect(await gate({ ...TRIED, firstAttemptAt: OLD - 1 }, none, OLD)).toEqual(["readBack", "too_old"]);
    expect(await gate({ ...TRIED, mode: "set" }, { ...none, ...keepsHour })).toEqual(["open"]);
    // Known to be late is known to be billed: coverage says so without a call.
    const late = { coverage: billedAlways(async () => [PERIOD]) };
    expect(await gate({}, late, FINAL)).toEqual(["held", expect.stringContaining("late: ")]);
    expect(await gate({ ...TRIED, firstAttemptAt: FINAL - 1 }, late, FINAL)).toEqual(["readBack", "invoice_final"]);
  });
});

describe("a meter that adds up otherwise than the report was made for", () => {
  it("keeps the report waiting while that may be put right, and ends it once it is too old", async () => {
    const [kind, reason] = await gate({}, mismatch);
    expect([kind, reason]).toEqual(["wait", "stripe_meter_mismatch: it has another window"]);
    expect(await gate(TRIED, mismatch)).toEqual(["wait", "stripe_meter_mismatch: it has another window"]);
    expect(await gate({}, mismatch, OLD)).toEqual(["dead", expect.stringContaining("stripe_meter_mismatch")]);
    expect(await gate(TRIED, mismatch, OLD)).toEqual(["conflict", expect.stringContaining("stripe_meter_mismatch")]);
  });

  it("refuses a difference where the last report stays, and a total where all are added up", async () => {
    const other = expect.stringContaining("stripe_meter_mismatch: the biller's meter adds up otherwise");
    expect(await gate({}, keepsHour)).toEqual(["dead", other]);
    expect(await gate({ mode: "set" })).toEqual(["dead", other]);
    // What was tried may be there.
    expect(await gate(TRIED, keepsHour)).toEqual(["conflict", other]);
    expect(await gate({ ...TRIED, mode: "set" })).toEqual(["conflict", other]);
  });
});

describe("a report whose outcome is not known", () => {
  it("goes out again for 23 hours after its first attempt, or after it was sent again", async () => {
    const at = (age: number): number => NOW + age;
    const first = { ...TRIED, firstAttemptAt: NOW, lastAttemptAt: NOW };
    expect(await gate(first, {}, at(0))).toEqual(["open"]);
    expect(await gate(first, {}, at(limits.resendSafeMs - 1))).toEqual(["open"]);
    expect(await gate(first, {}, at(limits.resendSafeMs))).toEqual(["readBack", "yes"]);
    const again = { ...first, firstAttemptAt: NOW - 2 * DAY, resentAt: NOW };
    expect(await gate(again, {}, at(limits.resendSafeMs - 1))).toEqual(["open"]);
    expect(await gate(again, {}, at(limits.resendSafeMs))).toEqual(["readBack", "yes"]);
  });

  it("is read back when its attempt lies ahead: that was written under a wrong clock", async () => {
    expect(await gate({ ...TRIED, firstAttemptAt: NOW + 1 })).toEqual(["readBack", "yes"]);
  });

  it("is read back and never sent again when its invoice is final, or it is too old", async () => {
    expect(await gate({ ...TRIED, firstAttemptAt: FINAL - 1 }, billed, FINAL)).toEqual(["readBack", "invoice_final"]);
    expect(await gate({ ...TRIED, firstAttemptAt: FINAL - 1 }, billed, FINAL - 1)).toEqual(["open"]);
    expect(await gate({ ...TRIED, firstAttemptAt: OLD - 1 }, {}, OLD)).toEqual(["readBack", "too_old"]);
    expect(await gate({ ...TRIED, firstAttemptAt: OLD - 1 }, {}, OLD - 1)).toEqual(["open"]);
  });

  it("goes out again at any age where it is a total, until it is too old", async () => {
    const total = { ...TRIED, mode: "set" } as const;
    expect(await gate(total, keepsHour, NOW + 30 * DAY)).toEqual(["open"]);
    expect(await gate(total, { ...keepsHour, ...billed }, FINAL + DAY)).toEqual(["open"]);
    expect(await gate(total, keepsHour, OLD - 1)).toEqual(["open"]);
    expect(await gate(total, keepsHour, OLD)).toEqual(["conflict", "too_old, and its outcome is not known"]);
  });
});

describe("a total that was never tried", () => {
  const total = { mode: "set", value: decimal("5"), reported: decimal("12") } as const;

  it("goes out while it is what its hour holds with it", async () => {
    const earlier = { state: "accepted", mode: "set", value: decimal("7"), reported: decimal("7") } as const;
    expect(await gate(total, { ...keepsHour, ...beside(earlier) })).toEqual(["open"]);
    expect(await gate({ ...total, reported: decimal("5") }, keepsHour)).toEqual(["open"]);
  });

  it("is made anew when a report that it includes is not there any more", async () => {
    const changed = ["held", expect.stringContaining("total: what its window holds changed")];
    const refused = { state: "dead", mode: "set", value: decimal("7"), reported: decimal("7") } as const;
    expect(await gate(total, { ...keepsHour, ...beside(refused) })).toEqual(changed);
    expect(await gate(total, keepsHour)).toEqual(changed);
  });

  it("is none of a meter that is not there, and no difference is ever one", async () => {
    expect(await gate(total, missing)).toEqual(["open"]);
    expect(await gate({ ...total, mode: "delta" })).toEqual(["open"]);
  });
});

function asked(): Promise<never> {
  return Promise.reject(new Error("asked"));
}

describe("shadow", () => {
  it("takes a report of its time for sent, before anything else is asked", async () => {
    const covering: Shadow = { isOn: false, covers: ({ windowStart }) => windowStart === START };
    expect(
      await gate({}, { shadow: covering, standing: asked, coverage: { periods: asked, answer: asked } }, OLD),
    ).toEqual(["accepted", SHADOW]);
  });

  it("keeps what was really tried before waiting", async () => {
    const found = await gateFor(gatesWith({ shadow: ON }), { ...ROW, ...TRIED }, NOW);
    expect(found).toEqual({
      kind: "closed",
      outcome: {
        kind: "wait",
        reason: "shadow is on: nothing is sent",
        nextAttemptAt: NOW + limits.readBackWitnessMs,
      },
    });
  });
});

describe("a cancelling", () => {
  const cancel = { kind: "cancel", cancels: 100 } as const;
  const there = { state: "accepted", acceptedAt: NOW } as const;

  it("goes out while Stripe takes it, with the report that it cancels", async () => {
    const gates = gatesWith(beside(there));
    const found = await gateFor(gates, { ...ROW, ...cancel }, NOW + limits.cancelMs - 1);
    expect(found).toMatchObject({ kind: "cancel", original: { rowId: 100 } });
    expect(await gate(cancel, beside({ ...there, state: "settled" }))).toEqual(["cancel"]);
  });

  it("is too late a day after the report was accepted", async () => {
    const late = expect.stringContaining("too_late: the biller cancels only what it received");
    expect(await gate(cancel, beside(there), NOW + limits.cancelMs)).toEqual(["dead", late]);
    expect(await gate({ ...cancel, ...TRIED }, beside(there), NOW + limits.cancelMs)).toEqual(["conflict", late]);
    expect(await gate(cancel, beside({ ...there, acceptedAt: null }))).toEqual(["dead", late]);
  });

  it("goes by its own report alone", async () => {
    const store = memoryStore({ bucketMs: MINUTE });
    const queries: unknown[] = [];
    const outbox: Gates["store"]["outbox"] = async (query) => {
      queries.push(query);
      return query.rowId === 100 ? [{ ...ROW, ...there, rowId: 100 }] : [];
    };
    expect(await gate(cancel, { store: { ...store, outbox } })).toEqual(["cancel"]);
    const nowhere = ["conflict", expect.stringContaining("is not there")];
    expect(await gate({ ...cancel, cancels: 99 }, { store: { ...store, outbox } })).toEqual(nowhere);
    expect(queries).toEqual([
      { rowId: 100, limit: 1 },
      { rowId: 99, limit: 1 },
    ]);
    expect(await gate({ ...cancel, cancels: null }, beside(there))).toEqual(nowhere);
  });

  it("has nothing to do for a report in shadow, and waits while all of it is in shadow", async () => {
    expect(await gate(cancel, beside({ ...there, reason: SHADOW }))).toEqual(["accepted", SHADOW]);
    expect(await gate(cancel, { ...beside({ ...there, reason: SHADOW }), shadow: ON })).toEqual(["accepted", SHADOW]);
    expect(await gate(cancel, { ...beside(there), shadow: ON })).toEqual(["wait", "shadow is on: nothing is sent"]);
  });

  it("goes by what became of the report since it was ordered", async () => {
    expect(await gate(cancel, beside({ ...there, state: "conflict" }))).toEqual([
      "conflict",
      "row 100, which it cancels, is in conflict: decide about that first",
    ]);
    for (const state of ["held", "pending", "sending"] as const)
      expect(await gate(cancel, beside({ ...there, state }))).toEqual([
        "wait",
        `waits for row 100, which it cancels: ${state}`,
      ]);
    expect(await gate(cancel, beside({ ...there, state: "dead", reason: "rejected" }))).toEqual([
      "dead",
      "nothing_to_cancel: row 100 is not at the biller: dead (rejected)",
    ]);
    expect(await gate({ ...cancel, ...TRIED }, beside({ ...there, state: "dead" }))).toEqual([
      "dead",
      "nothing_to_cancel: row 100 is not at the biller: dead",
    ]);
  });
});

describe("what is learnt by asking", () => {
  it.each([{}, TRIED])("decides about lateness in the same look, tried %j", async (tried) => {
    const lane = { customer: "cus_1", reportAs: "chat_tokens", item: "si_1" };
    const present = [{ ...lane, from: START + HOUR, to: START + 30 * DAY, renews: true }];
    const earlier = [{ ...lane, from: START - 28 * DAY, to: START + HOUR, renews: true }];
    const coverage = openCoverage({
      store: memoryStore({ bucketMs: MINUTE }),
      noSubscription: "hold",
      reporter: { customerPeriods: async () => ({ present, earlier }) },
    });
    coverage.learn(present);
    const gates = { coverage: coverage.asking(9) };
    const now = START + 4 * HOUR;
    const first = await gate({ ...tried }, gates, now);
    expect(first[0]).toBe("firstAttemptAt" in tried ? "readBack" : "held");
    expect(await gate({ ...tried }, gates, now)).toEqual(first);
  });
});
