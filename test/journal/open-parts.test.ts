import * as fc from "fast-check";
import { describe, expect, it } from "vitest";

import type { Amendment, OpenPart, UsageEvent } from "../../src/core/event.ts";
import { amendmentLine, appendEvent, drainAll, eventLine, ids, makeEvent, place, sorted } from "./harness.ts";

const identity = (id: string, company = "acme"): Amendment => ({
  source: "api",
  id,
  closes: "identity",
  company,
  user: "u1",
});
const end = (id: string): Amendment => ({ source: "api", id, closes: "end", aborted: true });

const plans = fc.array(
  fc.record({
    open: fc.constantFrom<OpenPart[]>([], ["identity"], ["end"], ["identity", "end"], ["end", "identity"]),
    amended: fc.constantFrom<OpenPart[]>([], ["identity"], ["end"], ["identity", "end"], ["end", "identity"]),
  }),
  { minLength: 1, maxLength: 12, size: "max" },
);

interface Plan {
  readonly open: readonly OpenPart[];
  readonly amended: readonly OpenPart[];
}

/** What must come out for one event, given which amendments came too late to be joined. */
function expected({ open, amended }: Plan, id: string, later: readonly OpenPart[]): UsageEvent {
  const joined = amended.filter((part) => !later.includes(part));
  const anonymous = open.includes("identity") && !joined.includes("identity");
  return makeEvent(id, {
    company: anonymous ? null : "acme",
    ...(joined.includes("identity") ? { user: "u1" } : {}),
    ...(joined.includes("end") ? { aborted: true } : {}),
    ...(anonymous ? { faults: { company: "identify_timeout" } } : {}),
  });
}

describe("open parts", () => {
  it("are joined in any order, over any batches and segments; what never came is stated", async () => {
    await fc.assert(
      fc.asyncProperty(
        plans,
        fc.array(fc.nat(1_000), { minLength: 60, maxLength: 60 }),
        fc.integer({ min: 1, max: 5 }),
        async (events, random, limit) => {
          const here = place();
          const journal = here.journal({ segmentBytesMax: 600 });
          const drain = here.drain();
          let drawn = 0;
          const draw = (): number => random[drawn++ % random.length] ?? 0;
          const seen: { events: UsageEvent[]; amendments: Amendment[] } = { events: [], amendments: [] };
          const drainSome = (): void => {
            const batch = drain.next(limit);
            if (batch.events.length % 2 === 1) return drain.rollback();
            seen.events.push(...batch.events);
            seen.amendments.push(...batch.amendments);
            drain.commit();
          };
          const queues = events.map(({ open, amended }, at) => {
            const event = makeEvent(`e-${at}`, { company: open.includes("identity") ? null : "acme" });
            return [
              eventLine(event, open),
              ...amended.map((part) => amendmentLine(part === "end" ? end(event.id) : identity(event.id))),
            ];
          });
          while (queues.some((queue) => queue.length > 0)) {
            const busy = queues.filter((queue) => queue.length > 0);
            const line = busy[draw() % busy.length]?.shift();
            expect(journal.append(line ?? "")).toBe(true);
            if (draw() % 4 === 0) drainSome();
          }
          await journal.close();
          const rest = drainAll(drain, limit);
          seen.events.push(...rest.events);
          seen.amendments.push(...rest.amendments);
          expect(ids(seen.events)).toEqual(events.map((_, at) => `e-${at}`).toSorted());
          for (const [at, plan] of events.entries()) {
            const later = seen.amendments.filter(({ id }) => id === `e-${at}`).map(({ closes }) => closes);
            expect(seen.events.find(({ id }) => id === `e-${at}`)).toEqual(expected(plan, `e-${at}`, later));
            // Too late is only what came after the last part that was waited for.
            const whole = plan.open.every((part) => plan.amended.includes(part));
            expect(later.filter((part) => !plan.amended.includes(part) || !whole || plan.open.includes(part))).toEqual(
              [],
            );
          }
          expect(here.names()).toEqual([]);
          await here.remove();
        },
      ),
      { numRuns: 60, seed: 11 },
    );
  });

  it("keep a segment until the event and its amendment are both committed", () => {
    const here = place();
    const journal = here.journal({ segmentBytesMax: 250 });
    const drain = here.drain({}, journal.writer);
    journal.append(eventLine(makeEvent("a", { company: null }), ["identity", "end"]));
    for (let more = 0; more < 5; more++) appendEvent(journal);
    journal.append(amendmentLine(identity("a")));
    for (let more = 0; more < 5; more++) appendEvent(journal);
    expect(drainAll(drain).events).toHaveLength(10);
    // The event's own segment, the amendment's, and the active one.
    expect(here.names(journal.writer).filter((name) => name.endsWith(".journal"))).toHaveLength(3);
    expect(drain.backlog()).toMatchObject({ openEvents: 1 });
    // A crash here loses nothing: another drain finds both.
    const second = here.drain({}, journal.writer);
    journal.append(amendmentLine(end("a")));
    const whole = makeEvent("a", { company: "acme", user: "u1", aborted: true });
    expect(second.next(100).events).toContainEqual(whole);
    expect(drainAll(drain).events).toEqual([whole]);
    expect(here.names(journal.writer).filter((name) => name.endsWith(".journal"))).toHaveLength(1);
  });

  it("that another reader has joined, committed and deleted are not given out incomplete", () => {
    const here = place();
    const journal = here.journal({ segmentBytesMax: 250 });
    const [quick, slow] = [here.drain(), here.drain()];
    journal.append(eventLine(makeEvent("a", { company: null }), ["identity"]));
    expect(slow.next(10).events).toEqual([]);
    journal.append(amendmentLine(identity("a")));
    const plain = [appendEvent(journal), appendEvent(journal)];
    expect(ids(drainAll(quick).events)).toEqual(["a", ...sorted(plain)]);
    here.clock.forward(120_000);
    const late = drainAll(slow);
    expect(late.amendments).toEqual([]);
    expect(sorted(plain)).toEqual(expect.arrayContaining(ids(late.events)));
  });

  it("of a living writer are waited for until the time is up; the event looks the same after a restart", () => {
    const here = place();
    const journal = here.journal();
    const drain = here.drain({}, journal.writer);
    journal.append(eventLine(makeEvent("a", { company: null }), ["identity"]));
    journal.append(eventLine(makeEvent("b"), ["end"]));
    expect(drain.next(10).events).toEqual([]);
    here.clock.forward(119_999);
    expect(drain.next(10).events).toEqual([]);
    here.clock.forward(1);
    const given = [makeEvent("a", { company: null, faults: { company: "identify_timeout" } }), makeEvent("b")];
    expect(drain.next(10).events).toEqual(given);
    drain.commit();
    journal.append(amendmentLine(end("b")));
    journal.append(amendmentLine(identity("a")));
    const late = { events: [], amendments: [end("b"), identity("a")] };
    expect(drain.next(10)).toEqual(late);
    drain.commit();
    // Without the note of what was given out, the same identity would come with other content.
    expect(here.drain({}, journal.writer).next(10)).toEqual({ events: given, amendments: late.amendments });
  });

  it("never wait beyond openEventsMax: the oldest go out first", () => {
    const here = place();
    const journal = here.journal();
    const drain = here.drain({ openEventsMax: 3 }, journal.writer);
    for (let at = 0; at < 5; at++) journal.append(eventLine(makeEvent(`e-${at}`), ["end"]));
    expect(ids(drain.next(100).events)).toEqual(["e-0", "e-1"]);
    expect(drain.backlog().openEvents).toBe(3);
  });

  it("never change what the event already says", () => {
    const here = place();
    const journal = here.journal();
    const facts = { company: "first", faults: { user: "identify_failed" as const } };
    journal.append(eventLine(makeEvent("a", facts), ["identity"]));
    journal.append(
      amendmentLine({ ...identity("a", "second"), faults: { user: "identify_timeout", company: "bad_identifier" } }),
    );
    expect(here.drain().next(10).events).toEqual([
      makeEvent("a", { ...facts, user: "u1", faults: { user: "identify_failed" } }),
    ]);
  });
});
