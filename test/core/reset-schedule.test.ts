import { describe, expect, it } from "vitest";

import { MONTHLY, nextReset, scheduleFault, type ResetSchedule } from "../../src/core/reset-schedule.ts";

const schedule = (changes: Partial<ResetSchedule>): ResetSchedule => ({
  minute: "0",
  hour: "0",
  day: "*",
  month: "*",
  weekday: "*",
  ...changes,
});

/** So many resets, one after the other. */
function resets(fields: ResetSchedule, zone: string, after: string, count: number): readonly string[] {
  const found: string[] = [];
  let time = Date.parse(after);
  for (let at = 0; at < count; at += 1) {
    time = nextReset(fields, zone, time);
    found.push(new Date(time).toISOString().slice(0, 16));
  }
  return found;
}

describe("a reset schedule", () => {
  it("begins anew each month: a meter made on 10 January at noon has its first period until 1 February", () => {
    expect(resets(MONTHLY, "Etc/UTC", "2026-01-10T12:00:00Z", 3)).toEqual([
      "2026-02-01T00:00",
      "2026-03-01T00:00",
      "2026-04-01T00:00",
    ]);
  });

  it("is behind the instant that is given, never at it", () => {
    expect(resets(MONTHLY, "Etc/UTC", "2026-01-31T23:59:59.999Z", 1)).toEqual(["2026-02-01T00:00"]);
    expect(resets(MONTHLY, "Etc/UTC", "2026-02-01T00:00:00Z", 1)).toEqual(["2026-03-01T00:00"]);
  });

  it("knows the ends of months: the 31st only where there is one, L always the last day", () => {
    expect(resets(schedule({ day: "31" }), "Etc/UTC", "2026-01-01T00:00:00Z", 3)).toEqual([
      "2026-01-31T00:00",
      "2026-03-31T00:00",
      "2026-05-31T00:00",
    ]);
    expect(resets(schedule({ day: "L" }), "Etc/UTC", "2027-12-31T12:00:00Z", 3)).toEqual([
      "2028-01-31T00:00",
      "2028-02-29T00:00",
      "2028-03-31T00:00",
    ]);
  });

  it.each([
    // The clock goes forward at 01:00 UTC and back at 01:00 UTC; midnight there is at 23:00 and 22:00 UTC.
    [
      "days over a change to summer time",
      schedule({}),
      "2026-03-28T12:00:00Z",
      ["2026-03-28T23:00", "2026-03-29T22:00"],
    ],
    [
      "days over a change to winter time",
      schedule({}),
      "2026-10-24T12:00:00Z",
      ["2026-10-24T22:00", "2026-10-25T23:00"],
    ],
    [
      "a time that is left out, at the change",
      schedule({ hour: "2", minute: "30" }),
      "2026-03-28T12:00:00Z",
      ["2026-03-29T01:00", "2026-03-30T00:30"],
    ],
    [
      "a time that comes twice, the first time alone",
      schedule({ hour: "2", minute: "30" }),
      "2026-10-24T12:00:00Z",
      ["2026-10-25T00:30", "2026-10-26T01:30"],
    ],
  ])("takes %s in Berlin", (_name, fields, after, expected) => {
    expect(resets(fields, "Europe/Berlin", after, expected.length)).toEqual(expected);
  });

  it("can be of weekdays and of every quarter of an hour", () => {
    expect(resets(schedule({ weekday: "1" }), "Etc/UTC", "2026-11-22T00:00:00Z", 2)).toEqual([
      "2026-11-23T00:00",
      "2026-11-30T00:00",
    ]);
    expect(resets(schedule({ minute: "*/15", hour: "*" }), "Asia/Kathmandu", "2026-11-22T00:00:00Z", 2)).toEqual([
      "2026-11-22T00:15",
      "2026-11-22T00:30",
    ]);
  });

  it.each([
    ["a zone that is none", MONTHLY, "Europe/Nowhere", "there is no time zone"],
    ["a field of two", schedule({ day: "1 2" }), "Etc/UTC", "day is one cron field"],
    ["an empty field", schedule({ hour: "" }), "Etc/UTC", "hour is one cron field"],
    ["a minute that is none", schedule({ minute: "61" }), "Etc/UTC", "61"],
    ["a day that never comes", schedule({ day: "30", month: "2" }), "Etc/UTC", "no day fits"],
  ])("refuses %s", (_name, fields, zone, sentence) => {
    expect(scheduleFault(fields, zone)).toContain(sentence);
  });

  it("finds nothing wrong with one that can be used", () => {
    expect(scheduleFault(MONTHLY, "Pacific/Chatham")).toBeNull();
  });
});
