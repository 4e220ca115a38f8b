import * as fc from "fast-check";
import { describe, expect, it } from "vitest";

import { formatDecimal, roundDecimal } from "../../../src/core/decimal.ts";
import { isMeterbookError } from "../../../src/core/errors.ts";
import type { MeterDefinition } from "../../../src/core/meter.ts";
import { assignCompany } from "../../../src/engine/ingest/assign.ts";
import { loadCatalog, newestCatalog } from "../../../src/engine/ingest/catalog-versions.ts";
import { correctEvent, type Instead } from "../../../src/engine/corrections/correct.ts";
import { ingest } from "../../../src/engine/ingest/ingest.ts";
import type { Store } from "../../../src/engine/ports.ts";
import { rebuild } from "../../../src/engine/books/rebuild.ts";
import { replayMeter } from "../../../src/engine/corrections/replay.ts";
import { queryUsage } from "../../../src/engine/usage/usage-query.ts";
import { verify } from "../../../src/engine/books/verify.ts";
import { memoryStore } from "../../../src/memory/memory-store.ts";
import { recordingReporter } from "../../../src/testing/recording-reporter.ts";
import { tempStore } from "../../sqlite/temp-store.ts";
import { calls, chat, decimal, HOUR, MINUTE, START, tokens, world } from "../world.ts";

/** What an operator and the app may do, in any order; events are named by their place in the list so far. */
type Step =
  | {
      readonly kind: "ingest";
      readonly value: string | null;
      readonly company: string | null;
      readonly at: number;
      readonly ok: boolean;
    }
  | { readonly kind: "assign"; readonly event: number; readonly company: string }
  | { readonly kind: "void"; readonly event: number }
  | { readonly kind: "replace"; readonly event: number; readonly value: string }
  | { readonly kind: "move"; readonly event: number; readonly company: string }
  | { readonly kind: "edit"; readonly match: boolean; readonly at: number }
  | { readonly kind: "replay"; readonly meter: number; readonly from: number; readonly length: number | null }
  | { readonly kind: "report" };

const company = fc.constantFrom("acme", "globex");
const event = fc.nat(40);
const value = fc.constantFrom("1", "2.5", "0.75", "-3", "40");
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.record({
      kind: fc.constant("ingest" as const),
      value: fc.option(value),
      company: fc.option(company, { freq: 4 }),
      at: fc.integer({ min: 0, max: 6 * 60 }),
      ok: fc.boolean(),
    }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant("assign" as const), event, company }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant("void" as const), event }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant("replace" as const), event, value }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("move" as const), event, company }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("edit" as const), match: fc.boolean(), at: fc.nat(10) }) },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant("replay" as const),
      meter: fc.nat(2),
      from: fc.integer({ min: 0, max: 6 * 60 * 60 }),
      length: fc.option(fc.integer({ min: 1, max: 3 * 60 * 60 })),
    }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("report" as const) }) },
);

const peak: MeterDefinition = { ...tokens, key: "peak", aggregate: "max", report: false, reportAs: "peak" };
const METERS = [tokens, calls, peak];

function metersOf(match: boolean): readonly MeterDefinition[] {
  return METERS.map((definition) => (match ? definition : { ...definition, match: [] }));
}

function settings(match: boolean) {
  return { meters: metersOf(match), fields: {}, identity: { unknown: "hold" as const } };
}

const EXPECTED = ["METER_CORRECTION_REFUSED", "METER_COMMAND_INVALID", "METER_EVENT_NOT_FOUND"];

/** What the commands refuse is no failure of theirs. */
async function unlessRefused(work: () => Promise<unknown>): Promise<void> {
  try {
    await work();
  } catch (error) {
    if (!isMeterbookError(error) || !EXPECTED.includes(error.code)) throw error;
  }
}

async function run(store: Store, steps: readonly Step[]): Promise<void> {
  let { catalog } = await loadCatalog(store, settings(true), START, { adopt: true });
  const reporter = recordingReporter({ customers: { acme: "cus_acme", globex: "cus_globex" } });
  const own = world({ store });
  const ids: string[] = [];
  const order = { store, author: "operator:ann", cause: "because", dryRun: false };
  const correct = (place: number, instead: Instead | null) =>
    unlessRefused(async () => {
      const id = ids[place % Math.max(1, ids.length)] ?? "none";
      const { replacement } = await correctEvent({ ...order, catalog, id, instead, now: own.clock.now() });
      if (replacement !== null) ids.push(replacement.id);
    });
  const report = async () => void (await own.round(reporter, { catalog }));
  for (const each of steps) {
    own.clock.advance(MINUTE);
    catalog = await newestCatalog(store, catalog);
    switch (each.kind) {
      case "ingest": {
        const id = `e${ids.push(`e${ids.length}`) - 1}`;
        const facts = { id, company: each.company, time: START + each.at * MINUTE, status: each.ok ? 200 : 429 };
        await ingest(store, catalog, [chat(each.value, facts)], START + 7 * HOUR);
        break;
      }
      case "assign": {
        const id = ids[each.event % Math.max(1, ids.length)] ?? "none";
        await unlessRefused(() =>
          assignCompany({ store, catalog, id, company: each.company, author: "cli", now: own.clock.now() }),
        );
        break;
      }
      case "void":
        await correct(each.event, null);
        break;
      case "replace":
        await correct(each.event, { values: [{ path: "response.headers.X-Tokens-Used", text: each.value }] });
        break;
      case "move":
        await correct(each.event, { values: [{ path: "company", text: each.company }] });
        break;
      case "edit":
        ({ catalog } = await loadCatalog(store, settings(each.match), START + each.at * HOUR, { adopt: true }));
        break;
      case "replay": {
        const from = START + each.from * 1_000;
        const to = each.length === null ? null : from + each.length * 1_000;
        const meter = METERS[each.meter]?.key ?? "";
        await unlessRefused(() => replayMeter({ ...order, meter, from, to, now: own.clock.now() }));
        break;
      }
      case "report":
        own.clock.advance(2 * HOUR);
        await report();
        break;
    }
  }
  catalog = await newestCatalog(store, catalog);
  expect((await rebuild(store, catalog, { apply: false })).differences).toEqual([]);
  expect((await verify(store, catalog)).differences).toEqual([]);
  own.clock.advance(30 * HOUR);
  await report();
  await report();
  expect((await verify(store, catalog)).differences).toEqual([]);
  const rows = await queryUsage(store, catalog, { meter: "chat_tokens", window: null, groupBy: [] });
  for (const name of ["acme", "globex"]) {
    const used = decimal(rows.find(({ customer }) => customer === name)?.value ?? "0");
    expect(reporter.total("chat_tokens", `cus_${name}`)).toBe(formatDecimal(roundDecimal(used, 0, "floor")));
  }
}

describe("any sequence of events, assignments, corrections and replays", () => {
  const steps = fc.array(step, { minLength: 3, maxLength: 30 });

  it("leaves usage as the events give it, every sum whole, and the biller at its floor: in memory", async () => {
    const property = fc.asyncProperty(steps, (each) => run(memoryStore({ bucketMs: MINUTE }), each));
    await expect(fc.assert(property, { numRuns: 150 })).resolves.toBeUndefined();
  }, 120_000);

  it("leaves usage as the events give it, every sum whole, and the biller at its floor: in SQLite", async () => {
    const property = fc.asyncProperty(steps, async (each) => {
      const { store, dispose } = await tempStore();
      try {
        await run(store, each);
      } finally {
        await dispose();
      }
    });
    await expect(fc.assert(property, { numRuns: 20 })).resolves.toBeUndefined();
  }, 120_000);
});
