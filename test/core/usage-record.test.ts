import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { formatDecimal, fromInteger, parseDecimal, type Decimal } from "../../src/core/decimal.ts";
import {
  hasOwnMinute,
  identifierText,
  minuteOf,
  ownMinute,
  runningReport,
  tooManyDigits,
  windowParts,
  wireValue,
} from "../../src/core/usage-record.ts";

const HOUR_MS = 3_600_000;
const MINUTE_MS = 60_000;

function decimal(text: string): Decimal {
  const value = parseDecimal(text);
  if (typeof value === "string") throw new Error(`${text}: ${value}`);
  return value;
}

/** What a series of windows sends. */
function reports(usage: readonly Decimal[], fractionDigits: number): Decimal[] {
  let runningRaw = 0n;
  let runningValue = 0n;
  return usage.map((delta) => {
    const { value } = runningReport({ runningRaw, runningValue, delta, fractionDigits });
    runningRaw += delta;
    runningValue += value;
    return value;
  });
}

describe("runningReport", () => {
  test.each([
    ["1234567890123456.7", "1234567890123456"],
    ["-1234567890123456.2", "-1234567890123457"],
  ])("a whole part that is too long for the biller is rounded down as any other: %s", (usage, value) => {
    expect(reports([decimal(usage)], 0)).toEqual([decimal(value)]);
  });

  test("whatever the windows, the sum sent is the exact sum rounded down once", () => {
    const amounts = fc.array(fc.bigInt(-(10n ** 20n), 10n ** 20n), { maxLength: 30 });
    fc.assert(
      fc.property(amounts, fc.integer({ min: 0, max: 12 }), (usage, digits) => {
        const exact = usage.reduce((sum, value) => sum + value, 0n);
        const values = reports(usage, digits);
        const sent = values.reduce((sum, value) => sum + value, 0n);
        const unit = 10n ** BigInt(12 - digits);
        expect(sent % unit).toBe(0n);
        // A value that is cut to the biller's 15 digits leaves more to the next, but never a whole one.
        const cutFrom = fromInteger(10n ** BigInt(15 - digits));
        const isCut = values.some((value) => value >= cutFrom || value <= -cutFrom);
        expect(sent <= exact && exact - sent < (isCut ? fromInteger(1) : unit)).toBe(true);
        expect(values.some(tooManyDigits)).toBe(false);
      }),
    );
  });

  test("each value sent is whole in the biller's digits", () => {
    expect(reports([decimal("1.255"), decimal("1.255")], 2).map(formatDecimal)).toEqual(["1.25", "1.26"]);
  });

  test("a value too long for the biller leaves its last fraction digits to the next one", () => {
    expect(reports([decimal("12345678901.234567"), decimal("0.000001")], 6).map(formatDecimal)).toEqual([
      "12345678901.2345",
      "0.000068",
    ]);
    expect(reports([decimal("-12345678901.234567"), decimal("1")], 6).map(formatDecimal)).toEqual([
      "-12345678901.2346",
      "1.000033",
    ]);
    expect(reports([decimal("123456789012345.9"), decimal("0.1")], 2).map(formatDecimal)).toEqual([
      "123456789012345",
      "1",
    ]);
  });

  test("a whole part that is too long stays as it is, and the next one goes on from it", () => {
    expect(reports([decimal("1234567890123456.75"), decimal("0.5")], 2).map(formatDecimal)).toEqual([
      "1234567890123456.75",
      "0.5",
    ]);
  });

  test("usage that is too small to send waits", () => {
    expect(reports([decimal("0.4"), decimal("0.4"), decimal("0.4")], 0).map(formatDecimal)).toEqual(["0", "0", "1"]);
  });
});

describe("ownMinute", () => {
  test("lies inside the window, and no two of a window's minutes meet", () => {
    const windows = fc.record({
      start: fc.integer({ min: 0, max: 5e8 }).map((minute) => minute * MINUTE_MS),
      length: fc.integer({ min: 1, max: 86_400_000 }),
      sequence: fc.nat(3000),
    });
    fc.assert(
      fc.property(windows, ({ start, length, sequence }) => {
        const end = start + length;
        const own = ownMinute(start, end, sequence);
        expect(own >= start && own < end).toBe(true);
        const next = ownMinute(start, end, sequence + 1);
        expect(next === own || next === own + MINUTE_MS).toBe(true);
        expect(next === own).toBe(own + 2 * MINUTE_MS > end);
        expect(hasOwnMinute(start, end, sequence + 1)).toBe(next !== own);
      }),
    );
  });

  test.each([
    [HOUR_MS, 0, 0],
    [HOUR_MS, 1, MINUTE_MS],
    [HOUR_MS, 59, 59 * MINUTE_MS],
    [HOUR_MS, 60, 59 * MINUTE_MS],
    [MINUTE_MS, 5, 0],
    [30_000, 1, 0],
    // Half a minute belongs to what comes after, too.
    [90_000, 1, 0],
    [2 * MINUTE_MS, 1, MINUTE_MS],
  ])("in a window of %i ms, number %i is stamped %i ms after its start", (length, sequence, offset) => {
    expect(ownMinute(1_780_002_000_000, 1_780_002_000_000 + length, sequence)).toBe(1_780_002_000_000 + offset);
  });

  test.each([
    ["the next whole second, which the biller can take", 500, 1_001, 1_000],
    ["the start, when the next second belongs to what comes after", 500, 1_000, 500],
    ["the start, when the part ends before the next second", 500, 900, 500],
  ])("without a minute inside, it is %s", (_what, from, to, stamp) => {
    expect(ownMinute(from, to, 0)).toBe(stamp);
  });
});

test("a summary of the biller covers the whole minute of an instant", () => {
  const minute = { from: 1_780_002_000_000, to: 1_780_002_060_000 };
  expect(minuteOf(1_780_002_000_000)).toEqual(minute);
  expect(minuteOf(1_780_002_059_999)).toEqual(minute);
  expect(minuteOf(1_780_002_060_000)).toEqual({ from: minute.to, to: minute.to + MINUTE_MS });
});

describe("windowParts", () => {
  test("its own bounds and instants outside cut nothing", () => {
    expect(windowParts({ from: 0, to: 60 }, [0, 60, -1, 61])).toEqual([{ from: 0, to: 60 }]);
    expect(windowParts({ from: 0, to: 60 }, [1, 59, 1])).toEqual([
      { from: 0, to: 1 },
      { from: 1, to: 59 },
      { from: 59, to: 60 },
    ]);
  });

  const cutWindow = fc.record({
    from: fc.integer({ min: 0, max: 5e5 }).map((hour) => hour * HOUR_MS),
    cuts: fc.array(fc.integer({ min: -2 * HOUR_MS, max: 3 * HOUR_MS }), { maxLength: 6 }),
  });

  test("are the window, in order, and no part goes over a cut", () => {
    fc.assert(
      fc.property(cutWindow, ({ from, cuts }) => {
        const to = from + HOUR_MS;
        const instants = cuts.map((cut) => from + cut);
        const parts = windowParts({ from, to }, instants);
        expect([parts[0]?.from, parts.at(-1)?.to]).toEqual([from, to]);
        for (const [at, part] of parts.entries()) {
          expect(part.from < part.to).toBe(true);
          expect(part.to).toBe(parts[at + 1]?.from ?? to);
          expect(instants.some((cut) => cut > part.from && cut < part.to)).toBe(false);
        }
      }),
    );
  });

  test("never share a minute of their own, and state a time in their own part", () => {
    fc.assert(
      fc.property(cutWindow, fc.nat(70), ({ from, cuts }, records) => {
        const parts = windowParts(
          { from, to: from + HOUR_MS },
          cuts.map((cut) => from + cut),
        );
        const owners = new Map<number, number>();
        for (const [at, part] of parts.entries()) {
          for (let nth = 0; nth <= records; nth++) {
            const stated = ownMinute(part.from, part.to, nth);
            expect(stated >= part.from && stated < part.to).toBe(true);
            // Stripe takes whole seconds; cut off, it must not slip into the part before.
            const second = Math.floor(stated / 1_000) * 1_000;
            expect(second >= part.from || part.to - part.from < 1_000).toBe(true);
            if (!hasOwnMinute(part.from, part.to, nth)) continue;
            const minute = minuteOf(stated);
            expect(stated).toBe(minute.from);
            expect(minute.from >= part.from && minute.to <= part.to).toBe(true);
            expect(owners.get(minute.from) ?? at).toBe(at);
            owners.set(minute.from, at);
          }
        }
      }),
      { numRuns: 300 },
    );
  });

  test.each([
    ["a part of under a minute shares", 10_000, 55_000, 0, 10_000, false],
    ["whole minutes only", 17_000, HOUR_MS, 0, MINUTE_MS, true],
    ["the second record of it", 17_000, HOUR_MS, 1, 2 * MINUTE_MS, true],
    ["never the end", 0, 30 * MINUTE_MS + 17_000, 99, 29 * MINUTE_MS, false],
    ["milliseconds round up to a second", 10_400, 55_000, 0, 11_000, false],
  ])("%s", (_name, from, to, nth, stated, isOwn) => {
    const start = 1_780_002_000_000;
    expect(ownMinute(start + from, start + to, nth)).toBe(start + stated);
    expect(hasOwnMinute(start + from, start + to, nth)).toBe(isOwn);
  });
});

describe("identifierText", () => {
  const record = {
    store: "db1",
    account: "acct_1/test",
    meter: "tokens",
    reportAs: "chat_tokens",
    company: "acme",
    customer: "cus_1",
    windowStart: 0,
    windowEnd: HOUR_MS,
    sequence: 0,
    value: fromInteger(10),
  };

  test("is the same text for the same record for ever", () => {
    expect(identifierText(record)).toBe('["db1","acct_1/test","tokens","chat_tokens","acme","cus_1",0,3600000,0,"10"]');
    expect(identifierText({ ...record })).toBe(identifierText(record));
  });

  test.each([
    { store: "db2" },
    { account: "acct_1/live" },
    { meter: "tokens_old" },
    { company: "Acme" },
    { reportAs: "chat" },
    { customer: "cus_2" },
    { windowStart: 1 },
    { windowEnd: 1 },
    { sequence: 1 },
    { value: fromInteger(100) },
    { value: decimal("10.5") },
  ])("changes with %o", (change) => {
    expect(identifierText({ ...record, ...change })).not.toBe(identifierText(record));
  });

  test("parts that hold each other's separators stay apart", () => {
    const parts = fc.record({
      account: fc.string(),
      meter: fc.string(),
      reportAs: fc.string(),
      company: fc.string(),
      customer: fc.string(),
    });
    fc.assert(
      fc.property(parts, parts, (a, b) => {
        const isSame = JSON.stringify(Object.values(a)) === JSON.stringify(Object.values(b));
        expect(identifierText({ ...record, ...a }) === identifierText({ ...record, ...b })).toBe(isSame);
      }),
    );
    expect(identifierText({ ...record, account: 'a","b', meter: "c" })).not.toBe(
      identifierText({ ...record, account: "a", meter: 'b","c' }),
    );
  });
});

describe("values on the wire", () => {
  test.each([
    ["999999999999999", false],
    ["1000000000000000", true],
    ["-123456789012345", false],
    ["-1234567890123456", true],
    ["123456789.012345", false],
    ["1234567890.012345", true],
    ["0.000000000001", false],
    ["0", false],
  ])("%s has too many digits: %s", (text, expected) => {
    expect(tooManyDigits(decimal(text))).toBe(expected);
  });

  test.each(["0", "-6", "0.000000000001", "99999999999999999999999999.999999999999"])("%s is sent as it is", (text) => {
    expect(wireValue(decimal(text))).toBe(text);
  });

  test("whatever is not too long survives the biller's doubles", () => {
    fc.assert(
      fc.property(fc.bigInt(-(10n ** 27n), 10n ** 27n), (value) => {
        fc.pre(!tooManyDigits(value));
        expect(parseDecimal(String(Number(wireValue(value))))).toBe(value);
      }),
    );
    fc.assert(
      fc.property(fc.bigInt(-999999999999999n, 999999999999999n), fc.nat(12), (value, zeros) => {
        const scaled = value * 10n ** BigInt(zeros);
        expect(tooManyDigits(scaled)).toBe(false);
        expect(parseDecimal(String(Number(wireValue(scaled))))).toBe(scaled);
      }),
    );
  });
});
