import { expect, it } from "vitest";

import { verify } from "../../../src/engine/books/verify.ts";
import { createBucket } from "../../../src/engine/periods/buckets.ts";
import { closePeriods, closingMemory } from "../../../src/engine/periods/close-periods.ts";
import { replayRecord } from "../../../src/engine/periods/suspense.ts";
import { correctEvent } from "../../../src/engine/corrections/correct.ts";
import { onBothStores } from "../both-stores.ts";
import { FEBRUARY, JANUARY_10, LATENESS, MARCH, session, stream } from "./metered-stream.ts";

onBothStores("final records", (make) => {
  it("are made per meter at the period's end, with value 0 where nothing was counted", async () => {
    const { clock, send, close, records } = await stream(await make());
    clock.set(Date.parse("2026-01-20T00:00:00Z"));
    await send(session("a"), session("b", { apiCalls: "2.5", region: "APAC", status: "open" }));
    clock.set(FEBRUARY + LATENESS - 1);
    expect((await close()).final).toBe(0);
    clock.set(FEBRUARY + LATENESS);
    expect(await close()).toEqual({ final: 2, corrections: 0, thresholds: 0, deleted: 0, isBehind: false });
    const [l1, l2] = (await records()).toSorted((a, b) => (a.meterTypeName < b.meterTypeName ? -1 : 1));
    expect(l1).toMatchObject({
      kind: "final",
      userId: "FinTech",
      meterTypeName: "L1_Llama3",
      meterKey: "botbot",
      unit: "API request",
      timezone: "Etc/UTC",
      value: "12.5",
      records: 2,
      periodStart: new Date(JANUARY_10).toISOString(),
      periodEnd: "2026-02-01T00:00:00.000Z",
      carryFirst: { sessionId: "a" },
      carryLast: { caseNumber: "case b", status: "open" },
      deleteOnReset: false,
      revision: 1,
      corrects: null,
    });
    expect(l1?.groups).toEqual([
      {
        rule: "l1",
        breakdowns: [
          {
            by: ["region"],
            values: [
              { group: { region: "APAC" }, value: "2.5", records: 1 },
              { group: { region: "EMEA" }, value: "10", records: 1 },
            ],
            isCut: false,
          },
          {
            by: ["status"],
            values: [
              { group: { status: "closed" }, value: "10", records: 1 },
              { group: { status: "open" }, value: "2.5", records: 1 },
            ],
            isCut: false,
          },
        ],
      },
    ]);
    expect(l2).toMatchObject({ meterTypeName: "L2_GPT4o", value: "0", records: 0, carryLast: {} });
  });

  it("are made once, however often and by however many a period is closed", async () => {
    const { clock, send, close, records } = await stream(await make());
    clock.set(Date.parse("2026-01-20T00:00:00Z"));
    await send(session("a"));
    clock.set(FEBRUARY + LATENESS);
    await Promise.all([close(), close(), close()]);
    await close();
    expect((await records()).map(({ value }) => value).toSorted()).toEqual(["0", "10"]);
  });

  it("are caught up with one after the other after a standstill", async () => {
    const { clock, close, records } = await stream(await make(), { users: [["FinTech", "L1_Llama3"]] });
    clock.set(Date.parse("2026-06-15T00:00:00Z"));
    expect((await close()).final).toBe(5);
    expect((await records()).map(({ periodStart }) => periodStart.slice(0, 10))).toEqual([
      "2026-01-10",
      "2026-02-01",
      "2026-03-01",
      "2026-04-01",
      "2026-05-01",
    ]);
  });

  it("stay as they are when late records come: a correction says the new figure", async () => {
    const { clock, send, close, records } = await stream(await make(), { users: [["FinTech", "L1_Llama3"]] });
    clock.set(Date.parse("2026-01-20T00:00:00Z"));
    await send(session("a"));
    clock.set(FEBRUARY + LATENESS);
    await close();
    await send(session("late", { apiCalls: 5 }));
    expect((await close()).corrections).toBe(1);
    expect((await close()).corrections).toBe(0);
    const [first, second] = (await records()).toSorted((a, b) => a.revision - b.revision);
    expect(first).toMatchObject({ kind: "final", value: "10", revision: 1 });
    expect(second).toMatchObject({
      kind: "correction",
      value: "15",
      previousValue: "10",
      revision: 2,
      corrects: first?.id,
    });
  });

  it("are corrected when an operator voids a record of a closed period", async () => {
    const { store, clock, send, close, records, catalog } = await stream(await make());
    clock.set(Date.parse("2026-01-20T00:00:00Z"));
    await send(session("a"), session("b"));
    clock.set(FEBRUARY + LATENESS);
    await close();
    const order = { id: "a", instead: null, author: "operator:ann", cause: "test", now: clock.now(), dryRun: false };
    await correctEvent({ store, catalog: await catalog(), ...order });
    expect((await close()).corrections).toBe(1);
    expect((await records()).find(({ kind }) => kind === "correction")).toMatchObject({ value: "10", records: 1 });
  });

  it("end with the type's time, unless the meter was touched", async () => {
    const activeTo = FEBRUARY;
    const { clock, close, records } = await stream(await make(), {
      types: [{ name: "Trial", category: "L1_API_Requests", activeTo }],
    });
    clock.set(MARCH + LATENESS);
    expect((await close()).final).toBe(1);
    expect((await records()).map(({ periodEnd }) => periodEnd)).toEqual([new Date(FEBRUARY).toISOString()]);
  });
});

onBothStores("a record that cannot count", (make) => {
  it("is suspended with its reason, counts nowhere, and counts when it was put right", async () => {
    const { store, clock, send, close, records, desk, catalog } = await stream(await make());
    clock.set(Date.parse("2026-01-20T00:00:00Z"));
    const reply = await send(
      session("a"),
      session("a"),
      session("region", { region: "unknown" }),
      session("nobody", { company: null }),
      session("text", { apiCalls: "many" }),
      session("stranger", { company: "Stranger" }),
      session("early", { timestamp: "2026-01-10T11:59:59.999Z" }),
      session("ahead", { timestamp: "2027-01-10T11:59:59.999Z" }),
      session("other", { apiCallsType: "L3" }),
      session("a", { apiCalls: 11 }),
    );
    expect(reply).toMatchObject({ stored: 8, duplicates: 1, conflicts: 1, suspended: 6 });
    expect(reply.results.flatMap(({ id, suspended }) => (suspended === null ? [] : [[id, suspended.reason]]))).toEqual([
      ["region", "invalid_record"],
      ["nobody", "no_company"],
      ["text", "not_a_number"],
      ["stranger", "no_meter"],
      ["early", "inactive"],
      ["ahead", "future"],
    ]);
    const set = [{ path: "data.region", text: "AMER" }];
    const order = { id: "region", set, cause: "the region is known now", dryRun: false };
    const replayed = await replayRecord(desk(), await catalog(), order);
    expect(replayed).toMatchObject({ applied: true, problems: [] });
    expect(await send(session("region", { region: "unknown" }))).toMatchObject({ duplicates: 1 });
    clock.set(FEBRUARY + LATENESS);
    await close();
    expect((await records()).find(({ meterTypeName }) => meterTypeName === "L1_Llama3")?.value).toBe("20");
    expect((await verify(store, await catalog())).differences).toEqual([]);
  });
});

onBothStores("a process that remembers when the next period ends", (make) => {
  it("looks at the meters again when one is due, or one is new", async () => {
    const { store, clock, desk, catalog } = await stream(await make(), { users: [["FinTech", "L1_Llama3"]] });
    const memory = closingMemory();
    const close = async () =>
      closePeriods({ store, catalog: await catalog(), now: clock.now(), latenessMs: LATENESS, sinks: [], memory });
    expect((await close()).final).toBe(0);
    expect(memory.nextDue).toBe(FEBRUARY + LATENESS);
    const since = Date.parse("2025-12-31T00:00:00Z");
    await createBucket(desk(), { userId: "Early", meterType: "L1_Llama3", guide: "botbot", since });
    expect((await close()).final).toBe(1);
    clock.set(FEBRUARY + LATENESS - 1);
    expect((await close()).final).toBe(0);
    clock.set(FEBRUARY + LATENESS);
    expect((await close()).final).toBe(2);
  });
});
