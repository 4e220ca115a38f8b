import { describe, expect, it } from "vitest";

import { dailyReadings } from "../../../src/engine/delivery/daily-readings.ts";
import { openBooks, readBack, type Books, type MayResend } from "../../../src/engine/delivery/read-back.ts";
import { limits } from "../../../src/engine/limits.ts";
import { closeWindows } from "../../../src/engine/outbox/outbox.ts";
import { NOTHING_TO_SEND, SHADOW, type AttemptOutcome, type OutboxRow } from "../../../src/engine/ports.ts";
import { UNKNOWN } from "../../../src/testing/recording-reporter.ts";
import { billedAlways, closingOf } from "../outbox/closing-world.ts";
import { calls, catalogOf, chat, DAY, decimal, HOUR, MINUTE, START, tokens } from "../world.ts";
import { sending, type Sending } from "./delivery-world.ts";

const MINE = "company-100";
const OTHER = "company-101";

type Uncertain = Sending & {
  readonly books: Books;
  readonly pauses: () => number;
  /** What becomes of the row whose outcome is not known, as it is or otherwise. */
  readonly verdict: (change?: Partial<OutboxRow>, mayResend?: MayResend) => Promise<"send" | AttemptOutcome>;
  readonly mine: () => Promise<OutboxRow>;
};

/** The answer to one company's report was lost a day ago, all others were taken. */
async function uncertain(counts: boolean, companies = 1, catalog = catalogOf(tokens)): Promise<Uncertain> {
  const base = await sending(companies, catalog);
  const { store, clock, reporter, send } = base;
  const report: typeof reporter.report = async (record, key) => {
    if (record.company === MINE && record.reportAs === "chat_tokens") reporter.answerNext({ counts, answer: UNKNOWN });
    return reporter.report(record, key);
  };
  await send({ reporter: { ...reporter, report } });
  clock.advance(DAY);
  let paused = 0;
  const books = openBooks({
    store,
    reporter,
    pause: async () => void paused++,
    now: () => clock.now(),
    readings: await dailyReadings(store, clock.now(), "readBack"),
  });
  const mine = async (): Promise<OutboxRow> => {
    const [row] = await store.outbox({ company: MINE, reportAs: "chat_tokens", limit: 1 });
    if (row === undefined) throw new Error("no row");
    return row;
  };
  const verdict: Uncertain["verdict"] = async (change = {}, mayResend = "yes") =>
    readBack(books, { ...(await mine()), ...change }, mayResend);
  return { ...base, books, pauses: () => paused, verdict, mine };
}

/** A later report of a company, taken by the biller. */
async function later(base: Uncertain, company: string, settles = false): Promise<OutboxRow> {
  const { store, catalog, clock, reporter, take, send } = base;
  const time = Math.floor((clock.now() - 2 * HOUR) / HOUR) * HOUR;
  await take(chat("1", { company, time }));
  const { closing, modes } = await closingOf({ store, catalog, clock }, reporter);
  await closeWindows(closing, modes);
  await send({ gates: { ...GATES, store } });
  const row = (await store.outbox({ company, reportAs: "chat_tokens", limit: 99 })).find(
    (each) => each.windowStart === time,
  );
  if (row?.state !== "accepted") throw new Error(`not accepted: ${row?.state}`);
  if (settles) await store.settleRows([row.rowId], clock.now());
  return row;
}

const GATES = {
  shadow: { isOn: false, covers: () => false },
  coverage: billedAlways(async () => []),
  graceMs: HOUR,
  standing: async () => ({ kind: "ready", keepsLast: null }) as const,
};

/** Two readings missed it, long after the last attempt. */
function missed({ clock }: Uncertain): Pick<OutboxRow, "absentSince"> {
  return { absentSince: clock.now() - limits.readBackEveryMs };
}

const reasonWith = (text: string): unknown => expect.stringContaining(text);

describe("what the books show in the row's own minute", () => {
  it("is its own figure, in one part or several: accepted", async () => {
    const { verdict, reporter, books, pauses, mine } = await uncertain(true);
    const accepted = { kind: "accepted", requestId: null, reason: "read_back" };
    expect(await verdict()).toEqual(accepted);
    expect(reporter.readings).toEqual([
      { customer: `cus_${MINE}`, reportAs: "chat_tokens", from: START, to: START + MINUTE, per: null },
    ]);
    expect([books.spent.reads, books.readings.spent(), pauses()]).toEqual([1, 1, 1]);
    const part = { from: START, to: START + MINUTE, isExact: true };
    const counted = async () => ["2", "3"].map((value) => ({ ...part, value: decimal(value) }));
    const inParts = openBooks({ ...books, reporter: { counted } });
    expect(await readBack(inParts, await mine(), "yes")).toEqual(accepted);
    // The figure of the request counts, not the row's share of the usage.
    expect(await verdict({ value: decimal("1") })).toEqual(accepted);
  });

  it("is another figure: a person's, with how long nothing is known", async () => {
    const { verdict, clock } = await uncertain(true);
    expect(await verdict({ reported: decimal("7.5") })).toEqual({
      kind: "conflict",
      reason: "outcome unknown for 24 h; the biller's books have 5 in its place",
      requestId: null,
    });
    clock.advance(HOUR - 1);
    const hours = async (change: Partial<OutboxRow>): Promise<unknown> =>
      verdict({ reported: decimal("7"), ...change });
    expect(await hours({})).toMatchObject({ reason: reasonWith("unknown for 24 h;") });
    clock.advance(1);
    expect(await hours({})).toMatchObject({ reason: reasonWith("unknown for 25 h;") });
    expect(await hours({ firstAttemptAt: clock.now() + DAY })).toMatchObject({
      reason: reasonWith("unknown for 0 h;"),
    });
    expect(await hours({ firstAttemptAt: null })).toMatchObject({ reason: reasonWith("unknown for 0 h;") });
  });

  it("cannot be told apart where the row has no minute of its own", async () => {
    const { verdict, reporter } = await uncertain(true);
    const shared = { kind: "conflict", reason: reasonWith("other reports share its minute"), requestId: null };
    expect(await verdict({ timestamp: START + 1_000 })).toEqual(shared);
    expect(await verdict({ timestamp: START - 1 })).toEqual(shared);
    expect(reporter.readings).toEqual([]);
  });

  it.each<[string, Partial<OutboxRow>, boolean]>([
    ["was accepted", {}, true],
    ["is settled", { state: "settled" }, true],
    ["is being sent for the first time", { state: "sending", firstAttemptAt: null }, true],
    ["was tried", { state: "pending" }, true],
    ["was refused after it was tried", { state: "dead" }, true],
    ["was never tried", { state: "pending", firstAttemptAt: null }, false],
    ["is held", { state: "held", firstAttemptAt: null }, false],
    ["has nothing to send", { reason: NOTHING_TO_SEND }, false],
    ["is in shadow", { reason: SHADOW }, false],
    ["is settled in shadow", { state: "settled", reason: SHADOW }, false],
  ])("is shared with another row of the minute that %s, or is not", async (_what, change, isShared) => {
    const { books, store, mine } = await uncertain(true, 2);
    const [other] = await store.outbox({ company: OTHER, limit: 1 });
    if (other === undefined) throw new Error("no other row");
    const row = await mine();
    const queries: unknown[] = [];
    const outbox: Books["store"]["outbox"] = async (query) => {
      queries.push(query);
      return [row, { ...other, ...change }];
    };
    const verdict = await readBack({ ...books, store: { ...store, outbox } }, row, "yes");
    expect(verdict).toMatchObject({ kind: isShared ? "conflict" : "accepted" });
    expect(queries).toMatchObject([
      { customer: row.customer, reportAs: "chat_tokens", timestampFrom: START, timestampTo: START + MINUTE },
    ]);
  });
});

describe("books that are not read", () => {
  it("let the row wait, with the reason", async () => {
    const { books, verdict, mine, clock } = await uncertain(true);
    const wait = { kind: "wait", nextAttemptAt: clock.now() + limits.readBackEveryMs };
    const failing = openBooks({ ...books, reporter: { counted: () => Promise.reject(new Error("no right to read")) } });
    expect(await readBack(failing, await mine(), "yes")).toEqual({
      ...wait,
      reason: "not read back: no right to read",
    });
    const thrown = Object.assign(Object.create(null), { toString: () => "a bare text" });
    const bare = openBooks({ ...books, reporter: { counted: () => Promise.reject(thrown) } });
    expect(await readBack(bare, await mine(), "yes")).toEqual({ ...wait, reason: "not read back: a bare text" });
    expect(await verdict({ customer: null })).toEqual({ ...wait, reason: "not read back: it has no customer" });
  });

  it("let rows take turns when a round had its readings, and wait for tomorrow when the day had", async () => {
    const { books, verdict, clock, reporter } = await uncertain(true);
    books.spent.reads = limits.readBacksMax - 1;
    expect(await verdict()).toMatchObject({ kind: "accepted" });
    const turn = async (): Promise<number> => {
      const outcome = await verdict();
      expect(outcome).toMatchObject({ kind: "wait", reason: "waits for its turn to be read back" });
      return outcome !== "send" && outcome.kind === "wait" ? outcome.nextAttemptAt - clock.now() : -1;
    };
    for (let row = 0; row < limits.readBacksMax; row++) expect(await turn()).toBe(MINUTE);
    expect(await turn()).toBe(2 * MINUTE);
    books.spent.refused = 100 * limits.readBacksMax;
    expect(await turn()).toBe(limits.retryAfterMaxMs);
    books.readings.add(limits.readBacksPerDay - books.readings.spent() - 1);
    expect(await turn()).toBe(limits.retryAfterMaxMs);
    books.readings.add(1);
    const reason = "waits to be read back: today's readings of the biller's books are used up";
    expect(await verdict()).toEqual({ kind: "wait", reason, nextAttemptAt: clock.now() + limits.retryAfterMaxMs });
    const midnight = Math.ceil(clock.now() / DAY) * DAY;
    clock.set(midnight - MINUTE);
    expect(await verdict()).toEqual({ kind: "wait", reason, nextAttemptAt: midnight });
    expect(reporter.readings).toHaveLength(1);
  });
});

describe("a row that is too old to be sent again", () => {
  it("is accepted where the books show it, else a person's, from the moment on after which it is refused", async () => {
    const shown = await uncertain(true);
    shown.clock.set(START + limits.reportAgeMaxMs + 1);
    expect(await shown.verdict()).toMatchObject({ kind: "accepted" });
    const gone = await uncertain(false);
    gone.clock.set(START + limits.reportAgeMaxMs);
    expect(await gone.verdict()).toMatchObject({ kind: "absent" });
    expect(await gone.verdict({ customer: null })).toMatchObject({ kind: "wait" });
    gone.clock.advance(1);
    const old = { kind: "conflict", reason: reasonWith(" h, and too_old to be sent again"), requestId: null };
    expect(await gone.verdict()).toEqual(old);
    expect(await gone.verdict({ customer: null })).toEqual(old);
    gone.books.spent.reads = limits.readBacksMax;
    expect(await gone.verdict()).toMatchObject({ kind: "wait" });
  });
});

describe("a row that the books do not show", () => {
  it("is not believed to be absent before two readings, and two hours of quiet", async () => {
    const { verdict, clock } = await uncertain(false);
    const now = clock.now();
    const { readBackEveryMs: every, readBackQuietMs: quiet } = limits;
    const yet = (next: number): unknown => ({
      kind: "absent",
      reason: "the biller's books do not show it yet",
      nextAttemptAt: now + next,
    });
    expect(await verdict()).toEqual(yet(every));
    expect(await verdict({ absentSince: now - every + 1 })).toEqual(yet(every));
    const seen = { absentSince: now - every };
    expect(await verdict({ ...seen, lastAttemptAt: now - quiet + 1 })).toEqual(yet(every));
    expect(await verdict({ ...seen, lastAttemptAt: now - HOUR })).toEqual(yet(Math.min(quiet - HOUR, HOUR)));
    expect(await verdict({ ...seen, lastAttemptAt: now - 80 * MINUTE })).toEqual(yet(quiet - 80 * MINUTE));
    expect(await verdict({ ...seen, lastAttemptAt: now + DAY })).toEqual(yet(limits.retryAfterMaxMs));
    expect(await verdict({ ...seen, lastAttemptAt: null })).toEqual(yet(limits.retryAfterMaxMs));
    const witnessless = reasonWith("no later report either");
    expect(await verdict(seen)).toEqual({
      kind: "absent",
      reason: witnessless,
      nextAttemptAt: now + limits.readBackWitnessMs,
    });
    expect(await verdict({ ...seen, lastAttemptAt: now - quiet })).toMatchObject({ reason: witnessless });
  });

  it("is sent again beside a later report that they show, once, and not where no invoice would bill it", async () => {
    const base = await uncertain(false, 2);
    await later(base, OTHER);
    const { verdict } = base;
    const unsendable = { kind: "conflict", requestId: null };
    expect(await verdict(missed(base))).toBe("send");
    expect(await verdict(missed(base), "invoice_final")).toEqual({
      ...unsendable,
      reason: "late_usage: outcome unknown for 24 h, the biller's books do not show it, and its invoice is final",
    });
    const reason = "outcome unknown for 24 h; the biller's books do not show it, and no subscription bills it";
    expect(await verdict(missed(base), "no_subscription")).toEqual({ ...unsendable, reason });
    expect(await verdict({}, "too_old")).toMatchObject({ kind: "conflict", reason: reasonWith("and too_old") });
    expect(await verdict({ ...missed(base), resentAt: base.clock.now() - 3 * HOUR })).toEqual({
      ...unsendable,
      reason: "outcome unknown for 24 h; it was sent again, and the biller's books still do not show it",
    });
  });
});

describe("a later report as a witness", () => {
  const none = { kind: "absent", reason: reasonWith("no later report either") };

  it("is read in the books once; what is known of it holds for all rows of its meter", async () => {
    const base = await uncertain(false, 2);
    const witness = await later(base, OTHER);
    const { verdict, reporter } = base;
    const before = reporter.readings.length;
    expect(await verdict(missed(base))).toBe("send");
    expect(reporter.readings.slice(before).map(({ customer, from }) => [customer, from])).toEqual([
      [`cus_${MINE}`, START],
      [`cus_${OTHER}`, witness.timestamp],
    ]);
    expect(await verdict(missed(base))).toBe("send");
    expect(reporter.readings).toHaveLength(before + 3);
    // It proves nothing of an attempt that came after it.
    base.clock.advance(3 * HOUR);
    const acceptedAt = witness.acceptedAt ?? 0;
    expect(await verdict({ ...missed(base), lastAttemptAt: acceptedAt })).toMatchObject(none);
    expect(await verdict({ ...missed(base), lastAttemptAt: acceptedAt - 1 })).toBe("send");
  });

  it("needs no reading where it is settled: the books were seen to have it", async () => {
    const base = await uncertain(false, 4);
    // The settled one is the newest, and in the midst of the others.
    for (const company of ["company-103", OTHER, "company-102"]) {
      base.clock.advance(1_000);
      await later(base, company, company === "company-102");
    }
    const before = base.reporter.readings.length;
    expect(await base.verdict(missed(base))).toBe("send");
    expect(base.reporter.readings.slice(before).map(({ customer }) => customer)).toEqual([`cus_${MINE}`]);
  });

  it("is of the same meter, whoever it is of", async () => {
    const base = await uncertain(false, 2, catalogOf(tokens, { ...calls, match: tokens.match }));
    base.reporter.setMeter("chat_tokens", { kind: "missing", reason: "gone for now" });
    const { store, catalog, clock, reporter, take, send, verdict } = base;
    await take(chat("1", { company: OTHER, time: clock.now() - 2 * HOUR }));
    const { closing, modes } = await closingOf({ store, catalog, clock }, reporter);
    await closeWindows(closing, modes);
    expect(await send({ gates: { ...GATES, store } })).toMatchObject({ accepted: 1 });
    expect(await verdict(missed(base))).toMatchObject(none);
    reporter.setMeter("chat_tokens", { kind: "ready", keepsLast: null });
    await later(base, MINE);
    expect(await verdict(missed(base))).toBe("send");
  });

  it("is none that the books do not show, and no more than a few are looked for", async () => {
    const { witnessReadsMax: most } = limits;
    const base = await uncertain(false, most + 3);
    const names = Array.from({ length: most + 1 }, (_, at) => `company-${101 + at}`);
    const rows: OutboxRow[] = [];
    // The oldest are looked for first, in whatever order their customers stand.
    for (const name of names.toReversed()) {
      rows.push(await later(base, name));
      base.clock.advance(1_000);
    }
    const { books, mine } = base;
    const seeing = (shown: readonly (string | null)[]): Books =>
      openBooks({
        ...books,
        reporter: {
          counted: async (query) => (shown.includes(query.customer) ? base.reporter.counted(query) : []),
        },
      });
    const row = { ...(await mine()), ...missed(base) };
    const last = rows.slice(0, most).at(-1)?.customer ?? null;
    expect(await readBack(seeing([last]), row, "yes")).toBe("send");
    expect(await readBack(seeing([rows.at(-1)?.customer ?? null]), row, "yes")).toMatchObject(none);
  });

  it.each<[string, Partial<OutboxRow>, boolean]>([
    ["a later one", {}, true],
    ["one that was accepted before", { acceptedAt: START + HOUR }, false],
    ["one whose acceptance is not known", { acceptedAt: null }, false],
    ["a correction of a surplus", { kind: "adjust" }, false],
    ["a cancelling", { kind: "cancel" }, false],
    ["a total", { mode: "set" }, false],
    ["one in shadow", { reason: SHADOW }, false],
    ["one with nothing to send", { reason: NOTHING_TO_SEND }, false],
  ])("is %s, or is not", async (_what, change, isWitness) => {
    const base = await uncertain(false, 2);
    const witness = await later(base, OTHER, true);
    const { books, store, mine } = base;
    const outbox: Books["store"]["outbox"] = async (query) =>
      (await store.outbox(query)).map((row) => (row.rowId === witness.rowId ? { ...row, ...change } : row));
    const verdict = await readBack(
      { ...books, store: { ...store, outbox } },
      { ...(await mine()), ...missed(base) },
      "yes",
    );
    expect(verdict === "send").toBe(isWitness);
  });

  it("waits for its turn as any reading", async () => {
    const base = await uncertain(false, 2);
    await later(base, OTHER);
    const { books, verdict, clock } = base;
    books.spent.reads = limits.readBacksMax - 1;
    expect(await verdict(missed(base))).toEqual({
      kind: "absent",
      reason: "waits for its turn to be read back",
      nextAttemptAt: clock.now() + MINUTE,
    });
    books.spent.reads = 0;
    books.readings.add(limits.readBacksPerDay - books.readings.spent() - 1);
    expect(await verdict(missed(base))).toMatchObject({ kind: "absent", reason: reasonWith("are used up") });
  });

  it("is looked for among the reports of a day before, of its own customer first, in a few lanes", async () => {
    const base = await uncertain(false, limits.witnessLanesMax + 3);
    const { books, store, mine, clock } = base;
    const row = { ...(await mine()), ...missed(base) };
    const ranges: { readonly from: number; readonly to: number }[] = [];
    const asked: Parameters<Books["store"]["outbox"]>[0][] = [];
    const spying: Books["store"] = {
      reportedLanes: async (range) => {
        ranges.push(range);
        const lanes = await store.reportedLanes(range);
        return lanes.toSpliced(1, 0, { customer: row.customer ?? "", reportAs: row.reportAs });
      },
      outbox: async (query) => {
        if (query.state !== undefined) asked.push(query);
        return store.outbox(query);
      },
    };
    const since = row.lastAttemptAt ?? 0;
    expect(await readBack({ ...books, store: spying }, row, "yes")).toMatchObject(none);
    expect(ranges).toEqual([{ from: since - DAY, to: clock.now() + limits.futureMs }]);
    const customers = asked.map(({ customer }) => customer);
    expect(customers.slice(0, 2)).toEqual([row.customer, row.customer]);
    expect(new Set(customers).size).toBe(limits.witnessLanesMax);
    expect(customers).toHaveLength(2 * limits.witnessLanesMax);
    const [{ from, to } = { from: 0, to: 0 }] = ranges;
    expect(asked.every(({ timestampFrom, timestampTo }) => timestampFrom === from && timestampTo === to)).toBe(true);
  });
});
