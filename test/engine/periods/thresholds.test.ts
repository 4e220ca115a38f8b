import { expect, it } from "vitest";

import { meterTypeMistakes, meterTypeOf, type MeterTypeDraft } from "../../../src/core/meter-type.ts";
import { onBothStores } from "../both-stores.ts";
import { FEBRUARY, LATENESS, ruleOf, sessions, stream } from "./metered-stream.ts";

/** Pay per print: a printer is the user, sheets are counted, service is called for before the capacity is reached. */
const payPerPrint: MeterTypeDraft = {
  name: "Pay-Per-Print",
  category: "printing",
  unit: "sheets",
  capacity: "10000",
  thresholds: [
    { name: "maintenance", capacityPercentage: "90", customFields: { action: "schedule maintenance" } },
    { name: "end of life", absoluteValue: "10000", customFields: { action: "deactivate" } },
  ],
};
const printing = {
  ...sessions,
  key: "prints",
  eventType: "print.job",
  userId: "data.printer",
  value: "data.sheets",
  dedupeBy: "data.job",
  validate: [],
  rules: [ruleOf("sheets", { when: "always", conditions: [], category: "printing", groupBy: [], carryLast: [] })],
};
const job = (number: string, sheets: number) => ({
  job: number,
  printer: "P-7",
  sheets,
  timestamp: "2026-01-15T10:00:00Z",
});

onBothStores("thresholds", (make) => {
  it("are told at once and once each, with their own fields, and the meter goes on", async () => {
    const options = { guide: printing, types: [payPerPrint], users: [["P-7", "Pay-Per-Print"]] } as const;
    const { clock, send, close, records } = await stream(await make(), options);
    clock.set(Date.parse("2026-01-20T00:00:00Z"));
    await send(job("1", 8_999));
    expect(await records()).toEqual([]);
    await send(job("2", 1));
    expect(await records()).toMatchObject([
      {
        kind: "threshold",
        value: "9000",
        unit: "sheets",
        thresholds: [{ name: "maintenance", customFields: { action: "schedule maintenance" } }],
      },
    ]);
    await send(job("3", 2_000));
    await send(job("4", 1));
    expect((await close()).thresholds).toBe(0);
    const told = (await records()).filter(({ kind }) => kind === "threshold");
    expect(told.map(({ value, thresholds }) => `${value} ${thresholds[0]?.name}`).toSorted()).toEqual([
      "11000 end of life",
      "9000 maintenance",
    ]);
    clock.set(FEBRUARY + LATENESS);
    await close();
    const final = (await records()).find(({ kind }) => kind === "final");
    expect(final).toMatchObject({ value: "11001", capacity: "10000" });
    expect(final?.thresholds.map(({ name }) => name)).toEqual(["maintenance", "end of life"]);
  });

  it("are told again in the next period", async () => {
    const options = { guide: printing, types: [payPerPrint], users: [["P-7", "Pay-Per-Print"]] } as const;
    const { clock, send, close, records } = await stream(await make(), options);
    clock.set(Date.parse("2026-01-20T00:00:00Z"));
    await send(job("1", 9_500));
    clock.set(FEBRUARY + LATENESS);
    await close();
    await send({ ...job("2", 9_500), timestamp: "2026-02-01T00:01:00Z" });
    expect((await records()).map(({ kind }) => kind).toSorted()).toEqual(["final", "threshold", "threshold"]);
  });
});

it("A meter type's mistakes are all told at once, by place", () => {
  const type = meterTypeOf({
    name: "",
    category: "c",
    timezone: "Mars/Olympus",
    activeFrom: 2,
    activeTo: 1,
    capacity: "-1",
    thresholds: [
      { name: "a", capacityPercentage: "90", absoluteValue: "1" },
      { name: "a", absoluteValue: "1" },
      { name: "b", absoluteValue: "many" },
    ],
  });
  expect(meterTypeMistakes(type).map(({ pointer }) => pointer)).toEqual([
    "/name",
    "/timezone",
    "/activeTo",
    "/capacity",
    "/thresholds/0",
    "/thresholds/1",
    "/thresholds/2",
  ]);
  expect(meterTypeMistakes(meterTypeOf(payPerPrint))).toEqual([]);
  expect(meterTypeMistakes(meterTypeOf({ ...payPerPrint, capacity: null })).map(({ message }) => message)).toEqual([
    "a percentage needs the type's capacity",
  ]);
});
