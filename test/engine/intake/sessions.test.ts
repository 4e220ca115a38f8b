import { array, assert, asyncProperty, infiniteStream, integer } from "fast-check";
import { expect, it } from "vitest";

import type { SessionBoundary } from "../../../src/engine/intake/session.ts";
import { limits } from "../../../src/engine/limits.ts";
import { onBothStores } from "../both-stores.ts";
import { DAY, HOUR, MINUTE, START } from "../world.ts";
import { deskOver, mark } from "./session-desk.ts";

const HOURS = "chat_on_time_hours";
const SECONDS = "chat_query_time_secs";

onBothStores("sessions of time meters", (make) => {
  it("makes one event of a start and an end, in the meter's unit, at the time of the end", async () => {
    const store = await make();
    const desk = deskOver(store, START + 3 * HOUR);
    const from = Date.UTC(2026, 10, 30, 23, 15);
    expect(await desk.sessions.record(mark("start", from, { metadata: { a: "1" } }), "local")).toMatchObject({
      status: "open",
      session: { state: "open", startedAt: from, endedAt: null, event: null },
    });
    desk.now = from + 2 * HOUR;
    const { status, session } = await desk.sessions.record(
      mark("end", from + 90 * MINUTE, { metadata: { b: "2" } }),
      "local",
    );
    expect(status).toBe("finished");
    expect(session).toMatchObject({ state: "finished", durationMs: 90 * MINUTE });
    const [stored] = await store.findEvents(session.event?.id ?? "");
    expect(stored?.event).toMatchObject({
      source: "meterbook/sessions",
      type: "chat.on.time_hours",
      // Past midnight and in another month: when it ended.
      time: Date.UTC(2026, 11, 1, 0, 45),
      subject: "tenant_123",
      company: "tenant_123",
      data: {
        total_usage: "1.5",
        duration_ms: 5_400_000,
        duration_secs: "5400",
        device_id: "us-east-ing1",
        started_at: "2026-11-30T23:15:00.000Z",
        ended_at: "2026-12-01T00:45:00.000Z",
        metadata: { a: "1", b: "2" },
      },
    });
    expect(await desk.counted(HOURS)).toEqual({ value: "1.5", events: 1 });
  });

  it("writes milliseconds exactly as seconds, and hours to twelve digits", async () => {
    const desk = deskOver(await make(), START + 4 * HOUR);
    for (const [meterId, lasted] of [
      ["chat.query.time_secs", 1_001],
      ["chat.on.time_hours", 1],
    ] as const) {
      await desk.sessions.record(mark("start", START, { meterId, sessionId: "s" }), "local");
      await desk.sessions.record(mark("end", START + lasted, { meterId, sessionId: "s" }), "local");
    }
    expect(await desk.counted(SECONDS)).toEqual({ value: "1.001", events: 1 });
    expect(await desk.counted(HOURS)).toEqual({ value: "0.000000277778", events: 1 });
  });

  it("counts a boundary that is sent again once, whatever was answered before", async () => {
    const desk = deskOver(await make(), START + 4 * HOUR);
    const [start, end] = [mark("start", START), mark("end", START + HOUR)];
    const statuses: string[] = [];
    for (const boundary of [start, start, end, end, start]) {
      const { status, session } = await desk.sessions.record(boundary, "local");
      statuses.push(`${status} ${session.state}`);
    }
    expect(statuses).toEqual([
      "open open",
      "duplicate open",
      "finished finished",
      "duplicate finished",
      "duplicate finished",
    ]);
    expect(await desk.counted(HOURS)).toEqual({ value: "1", events: 1 });
  });

  it("answers a conflict when a named session begins or ends a second time at another instant", async () => {
    const desk = deskOver(await make(), START + 4 * HOUR);
    const named = { sessionId: "chat-1" };
    await desk.sessions.record(mark("start", START, named), "local");
    expect((await desk.sessions.record(mark("start", START + 1, named), "local")).status).toBe("conflict");
    await desk.sessions.record(mark("end", START + HOUR, named), "local");
    const again = await desk.sessions.record(mark("end", START + 2 * HOUR, named), "local");
    expect(again).toMatchObject({ status: "conflict", session: { durationMs: HOUR } });
    expect(await desk.counted(HOURS)).toEqual({ value: "1", events: 1 });
  });

  it("holds an end without a start until its start comes", async () => {
    const desk = deskOver(await make(), START + 4 * HOUR);
    const end = await desk.sessions.record(mark("end", START + HOUR, { sessionId: "late" }), "local");
    expect(end).toMatchObject({ status: "held", session: { reason: "end_without_start", state: "held" } });
    expect((await desk.sessions.list({ state: "held", limit: 10 })).sessions).toHaveLength(1);
    expect((await desk.sessions.record(mark("start", START, { sessionId: "late" }), "local")).status).toBe("finished");
    expect((await desk.sessions.list({ limit: 10 })).sessions).toEqual([]);
    expect(await desk.counted(HOURS)).toEqual({ value: "1", events: 1 });
  });

  it("holds an end before its start, and counts nothing negative", async () => {
    const desk = deskOver(await make(), START + 4 * HOUR);
    await desk.sessions.record(mark("start", START + HOUR), "local");
    const end = await desk.sessions.record(mark("end", START), "local");
    expect(end).toMatchObject({ status: "held", session: { reason: "end_before_start" } });
    expect(await desk.counted(HOURS)).toEqual({ value: "0", events: 0 });
    expect((await desk.sessions.list({ limit: 10 })).sessions.map(({ state }) => state).toSorted()).toEqual([
      "held",
      "open",
    ]);
  });

  it("shows a missing end as held after a day, and pairs such a start with a named end only", async () => {
    const desk = deskOver(await make(), START + 4 * HOUR);
    await desk.sessions.record(mark("start", START), "local");
    await desk.sessions.record(mark("start", START, { sessionId: "named" }), "local");
    desk.now = START + limits.sessionOpenMaxMs;
    expect((await desk.sessions.list({ state: "held", limit: 10 })).sessions).toEqual([]);
    desk.now += 1;
    const held = (await desk.sessions.list({ state: "held", limit: 10 })).sessions;
    expect(held.map(({ reason }) => reason)).toEqual(["missing_end", "missing_end"]);
    const unnamed = await desk.sessions.record(mark("end", START + DAY + 1), "local");
    expect(unnamed).toMatchObject({ status: "held", session: { reason: "end_without_start" } });
    desk.now = START + 2 * DAY;
    const named = await desk.sessions.record(mark("end", START + 2 * DAY, { sessionId: "named" }), "local");
    expect(named.status).toBe("finished");
    expect(await desk.counted(HOURS)).toEqual({ value: "48", events: 1 });
  });

  it("pairs overlapping sessions without names in the order of their starts: the sum is that of any pairing", async () => {
    const desk = deskOver(await make(), START + 4 * HOUR);
    await desk.sessions.record(mark("start", START + 10 * MINUTE), "local");
    await desk.sessions.record(mark("start", START), "local");
    const first = await desk.sessions.record(mark("end", START + 20 * MINUTE), "local");
    const second = await desk.sessions.record(mark("end", START + 40 * MINUTE), "local");
    expect([first.session.durationMs, second.session.durationMs]).toEqual([20 * MINUTE, 30 * MINUTE]);
    expect(await desk.counted(HOURS)).toEqual({ value: "0.833333333333", events: 2 });
  });

  it("keeps tenants, devices, meters and names apart", async () => {
    const desk = deskOver(await make(), START + 4 * HOUR);
    await desk.sessions.record(mark("start", START), "local");
    const others = [{ tenantId: "other" }, { deviceId: null }, { meterId: "chat.query.time_secs" }, { sessionId: "x" }];
    for (const other of others) {
      const { status } = await desk.sessions.record(mark("end", START + HOUR, other), "local");
      expect([other, status]).toEqual([other, "held"]);
    }
  });

  it("tells apart unnamed boundaries of one millisecond by their ids", async () => {
    const desk = deskOver(await make(), START + 4 * HOUR);
    for (const id of ["a", "b"]) await desk.sessions.record(mark("start", START, { id }), "local");
    for (const id of ["c", "d", "d"]) await desk.sessions.record(mark("end", START + HOUR, { id }), "local");
    expect(await desk.counted(HOURS)).toEqual({ value: "2", events: 2 });
  });

  it("lets an operator dismiss what waits, after which it may be sent anew", async () => {
    const desk = deskOver(await make(), START + 4 * HOUR);
    await desk.sessions.record(mark("start", START + HOUR, { sessionId: "s" }), "local");
    const wrong = await desk.sessions.record(mark("end", START, { sessionId: "s" }), "local");
    expect(await desk.sessions.dismiss(wrong.session.id, "operator:ann")).toMatchObject({ state: "dismissed" });
    const right = await desk.sessions.record(mark("end", START + 2 * HOUR, { sessionId: "s" }), "local");
    expect(right.status).toBe("finished");
    expect(await desk.counted(HOURS)).toEqual({ value: "1", events: 1 });
    await expect(desk.sessions.dismiss(right.session.id, "operator:ann")).rejects.toMatchObject({
      code: "METER_NOT_FOUND",
    });
  });

  it.each(["before", "after"] as const)("counts once when the process dies %s the event is stored", async (where) => {
    const desk = deskOver(await make(), START + 4 * HOUR);
    await desk.sessions.record(mark("start", START), "local");
    const end = mark("end", START + HOUR);
    desk.crash = (at) => {
      if (at === where) throw new Error("killed");
    };
    await expect(desk.sessions.record(end, "local")).rejects.toThrow("killed");
    desk.crash = () => undefined;
    // The clock goes on and the customer may change meanwhile: what was written down is what counts.
    desk.now += 5 * MINUTE;
    const again = desk.restart();
    expect(await again.finishAll()).toBe(1);
    expect(await again.finishAll()).toBe(0);
    expect((await again.record(end, "local")).status).toBe("duplicate");
    expect(await desk.counted(HOURS)).toEqual({ value: "1", events: 1 });
  });

  it("finishes what a crash left when its end is sent again", async () => {
    const desk = deskOver(await make(), START + 4 * HOUR);
    await desk.sessions.record(mark("start", START), "local");
    const end = mark("end", START + HOUR);
    desk.crash = () => {
      throw new Error("killed");
    };
    await expect(desk.sessions.record(end, "local")).rejects.toThrow("killed");
    desk.crash = () => undefined;
    expect(await desk.restart().record(end, "local")).toMatchObject({
      status: "duplicate",
      session: { state: "finished" },
    });
    expect(await desk.counted(HOURS)).toEqual({ value: "1", events: 1 });
  });

  it("brings both ends together that two processes record at once, with a name and without", async () => {
    for (const sessionId of [null, "chat-42"]) {
      const desk = deskOver(await make(), START + 4 * HOUR);
      const other = desk.restart();
      const results = await Promise.all([
        desk.sessions.record(mark("start", START, { sessionId }), "local"),
        other.record(mark("end", START + HOUR, { sessionId }), "local"),
      ]);
      expect(results.map(({ session }) => session.state)).toContain("finished");
      expect((await desk.sessions.list({ limit: 10 })).sessions).toEqual([]);
      expect(await desk.counted(HOURS)).toEqual({ value: "1", events: 1 });
    }
  });

  it("gives pages of what waits", async () => {
    const desk = deskOver(await make(), START + 4 * HOUR);
    for (let at = 0; at < 7; at++) await desk.sessions.record(mark("start", START + at), "local");
    const seen: string[] = [];
    for (let after: string | undefined = ""; after !== undefined;) {
      const page: Awaited<ReturnType<typeof desk.sessions.list>> = await desk.sessions.list({ limit: 3, after });
      seen.push(...page.sessions.map(({ id }) => id));
      after = page.next ?? undefined;
    }
    expect(new Set(seen).size).toBe(7);
    expect(seen).toHaveLength(7);
  });

  it("refuses an unnamed start when too many of its lane wait", async () => {
    const desk = deskOver(await make(), START + 4 * HOUR);
    for (let at = 0; at < limits.sessionsPerLaneMax; at++)
      await desk.sessions.record(mark("start", START + at), "local");
    await expect(desk.sessions.record(mark("start", START - 1), "local")).rejects.toMatchObject({
      code: "METER_CONFLICT",
    });
  }, 120_000);

  it("in any order, sent any number of times and with crashes, counts each finished session once", async () => {
    const lasting = array(integer({ min: 0, max: 5_000 }), { minLength: 1, maxLength: 6 });
    await assert(
      asyncProperty(lasting, infiniteStream(integer({ min: 0, max: 99 })), async (durations, dice) => {
        const roll = (sides: number): number => (dice.next().value ?? 0) % sides;
        const desk = deskOver(await make(), START + 4 * HOUR);
        const boundaries: SessionBoundary[] = durations.flatMap((lasted, at) => {
          const more = { sessionId: `s${at}`, meterId: "chat.query.time_secs" };
          return [mark("start", START + at, more), mark("end", START + at + lasted, more)];
        });
        const queue = [...boundaries, ...boundaries.filter(() => roll(3) === 0)];
        while (queue.length > 0) {
          const [next] = queue.splice(roll(queue.length), 1);
          const dies = roll(4);
          desk.crash = (where) => {
            if ((dies === 0 && where === "before") || (dies === 1 && where === "after")) throw new Error("killed");
          };
          if (next === undefined) continue;
          try {
            await desk.restart().record(next, "local");
          } catch {
            queue.push(next);
          }
        }
        expect((await desk.sessions.list({ limit: 100 })).sessions).toEqual([]);
        const sum = durations.reduce((a, b) => a + b, 0);
        const { value, events } = await desk.counted(SECONDS);
        expect([Math.round(Number(value) * 1_000), events]).toEqual([sum, durations.length]);
      }),
      { numRuns: 15 },
    );
  }, 120_000);
});
