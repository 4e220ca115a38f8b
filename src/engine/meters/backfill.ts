import type { MeterVersion } from "../../core/meter.ts";
import { ownMembers } from "../../core/own-member.ts";
import { bucketStart } from "../../core/usage.ts";
import { changedClosedWindows } from "../corrections/replay-figures.ts";
import { rejudge } from "../corrections/rejudge.ts";
import { limits } from "../limits.ts";
import type { Store, StoreView } from "../ports.ts";
import { entryId } from "../registry/entry-id.ts";
import { changedMeanwhile, notFound } from "../registry/refusals.ts";
import type { RegistryTools } from "../registry/registry-tools.ts";
import { LAST_INSTANT, meterLife } from "./meter-life.ts";
import { readPending, writePending } from "./pending-past.ts";
import type { MeterEffect } from "./meter-view.ts";

/**
 * Called while stored events are read: how many that the meter could count were read, of how many events there are in all.
 */
type BackfillProgress = (read: number, total: number) => void;

/** How the past is read. */
export interface BackfillOptions {
  readonly onProgress?: BackfillProgress;
  /** Buckets that a step may come to, and events that are counted without steps; limits.backfillBucketsMax where left out. */
  readonly bucketsMax?: number;
}

/** A meter's past that is to be judged by a new version. */
export interface Backfill {
  readonly store: Store;
  readonly meter: string;
  /** Type of the events that can count; null = any. */
  readonly eventType: string | null;
  /** The version that judges it, by what is stored; its effectiveFrom is of no account. Throws what cannot be. */
  readonly versionOf: (stored: readonly MeterVersion[]) => MeterVersion;
  /** Event time from which the past is judged. */
  readonly fromOf: (stored: readonly MeterVersion[], view: StoreView) => Promise<number>;
  /** Milliseconds UTC. */
  readonly now: number;
  /** Unlike that of any other: of several at once, the last one that began does the work. */
  readonly turn: string;
  readonly dryRun: boolean;
  readonly options: BackfillOptions;
}

/**
 * Judges a meter's past by a version, and says what that does. A small past is judged all at once. A large one goes step
 * by step, the newest first, each step wholly or not at all, with a version that begins one step earlier; what a killed
 * process left is finished by resumeBackfill.
 */
export async function backfill(order: Backfill): Promise<MeterEffect> {
  const { store, meter, dryRun, turn } = order;
  const stored = await store.meterVersions();
  // What cannot be is refused before anything is written.
  order.versionOf(stored);
  const from = await order.fromOf(stored, store);
  const plan = await planOf(order, from);
  if (dryRun) return takeSteps(order, plan, LAST_INSTANT, null);
  const isStepwise = plan.widthMs !== Infinity;
  await writePending(store, meter, isStepwise ? { from, turn } : null);
  const effect = await takeSteps(order, plan, LAST_INSTANT, null);
  if (isStepwise && (await hasTurn(order))) await writePending(store, meter, null);
  return effect;
}

/** Goes on with the past of a living meter where a killed process left it; null where nothing was left. */
export async function resumeBackfill(
  { store, clock, random }: RegistryTools,
  meter: string,
  options: BackfillOptions = {},
): Promise<MeterEffect | null> {
  const pending = await readPending(store, meter);
  const life = meterLife(await store.meterVersions(), meter);
  if (pending === null || life === null || life.endedAt !== null) return null;
  const { from } = pending;
  const { version, effectiveFrom, definition } = life.newest;
  const now = clock.now();
  const order: Backfill = {
    store,
    meter,
    now,
    turn: entryId(now, random),
    eventType: definition.eventType,
    versionOf: continued(meter),
    fromOf: async () => from,
    dryRun: false,
    options,
  };
  await writePending(store, meter, { from, turn: order.turn });
  const plan = await planOf(order, from);
  const effect = effectiveFrom <= from ? null : await takeSteps(order, plan, effectiveFrom, version);
  if (await hasTurn(order)) await writePending(store, meter, null);
  return effect;
}

async function hasTurn({ store, meter, turn }: Backfill): Promise<boolean> {
  return (await readPending(store, meter))?.turn === turn;
}

interface Plan {
  readonly from: number;
  /** Event time of the oldest event that can count; null when there is none. */
  readonly oldest: number | null;
  /** Behind the newest event, however its clock was. */
  readonly newest: number;
  readonly events: number;
  /** Width of the first step, milliseconds. */
  readonly widthMs: number;
  readonly bucketsMax: number;
}

async function planOf(
  { store, eventType, now, options }: Pick<Backfill, "store" | "eventType" | "now" | "options">,
  from: number,
): Promise<Plan> {
  const type = eventType === null ? {} : { type: eventType };
  const [first] = await store.eventsInSpan({ from, ...type, limit: 1 });
  const { events, lastEventAt } = await store.counts();
  const { bucketsMax = limits.backfillBucketsMax } = ownMembers(options);
  const widthMs = events <= bucketsMax ? Infinity : limits.backfillStepMs;
  const newest = Math.max(now, (lastEventAt ?? now) + 1);
  return { from, oldest: first?.event.time ?? null, newest, events, widthMs, bucketsMax };
}

/** Thrown where a step comes to more buckets than are to be in memory. */
class StepTooLarge extends Error {}

/** Thrown where somebody else added a version of the meter between two steps. */
class Overtaken extends Error {}

async function takeSteps(order: Backfill, plan: Plan, begin: number, last: number | null): Promise<MeterEffect> {
  const { store } = order;
  let done = nothingDone();
  let { widthMs } = plan;
  let [until, version, restarts] = [begin, last, 0];
  while (until > plan.from) {
    const base = Math.min(until, plan.newest);
    const edge = edgeOf(plan, base, widthMs, store.bucketMs);
    const reach = base - Math.max(edge, plan.oldest ?? edge);
    const isSmallest = reach <= store.bucketMs;
    try {
      const step = await takeStep(order, { from: edge, until, version, isSmallest, plan }, done);
      version = step.version;
      until = edge;
      if (step.buckets * GROWTH < plan.bucketsMax) widthMs *= 2;
    } catch (error) {
      if (error instanceof StepTooLarge) widthMs = reach / 2;
      else if (!(error instanceof Overtaken)) throw error;
      // Who began later does it all, by the newest version.
      else if (!(await hasTurn(order))) break;
      else if (++restarts > limits.meterReloadsMax) throw changedMeanwhile("meter");
      else {
        // The other version may judge otherwise: the whole past is judged by it.
        version = meterLife(await store.meterVersions(), order.meter)?.newest.version ?? null;
        until = LAST_INSTANT;
        done = nothingDone();
      }
    }
  }
  const { events, windows, first } = done;
  return { events, reportedWindows: windows.size, from: first, to: done.last === null ? null : done.last + 1 };
}

/** Steps grow while they come to less than this part of what is allowed. */
const GROWTH = 4;

function edgeOf({ from, oldest }: Plan, base: number, widthMs: number, bucketMs: number): number {
  if (widthMs === Infinity) return from;
  const edge = bucketStart(base - Math.max(widthMs, 1), bucketMs);
  return oldest === null || edge <= oldest || edge <= from ? from : edge;
}

interface Tally {
  events: number;
  readonly windows: Set<string>;
  first: number | null;
  last: number | null;
}

function nothingDone(): Tally {
  return { events: 0, windows: new Set(), first: null, last: null };
}

interface Step {
  readonly from: number;
  readonly until: number;
  /** The version that the step before added; null for the first one. */
  readonly version: number | null;
  readonly isSmallest: boolean;
  readonly plan: Plan;
}

async function takeStep(
  order: Backfill,
  { from, until, version: before, isSmallest, plan }: Step,
  done: Tally,
): Promise<{ readonly version: number; readonly buckets: number }> {
  const { store, meter, eventType, dryRun } = order;
  const { onProgress } = ownMembers(order.options);
  const isFirst = before === null || dryRun;
  const step = await rejudge({
    store,
    meter,
    ...(eventType === null ? {} : { type: eventType }),
    dryRun,
    changeOf: async (stored) => {
      const next = isFirst ? order.versionOf(stored) : continued(meter)(stored);
      if (!isFirst && next.version !== before + 1) throw new Overtaken();
      return { add: [{ ...next, effectiveFrom: from }], from, until };
    },
    summaryOf: async (rejudged, view) => ({
      ...rejudged,
      windows: await changedClosedWindows(view, meter, rejudged),
    }),
    onProgress: ({ events, buckets }) => {
      if (buckets > plan.bucketsMax && !isSmallest) throw new StepTooLarge();
      onProgress?.(Math.min(done.events + events, plan.events), plan.events);
    },
  });
  done.events += step.counted;
  for (const window of step.windows) done.windows.add(window);
  if (step.first !== null) done.first = Math.min(done.first ?? step.first, step.first);
  if (step.last !== null) done.last = Math.max(done.last ?? step.last, step.last);
  return { version: step.change.add[0]?.version ?? 0, buckets: step.after.length };
}

/** The newest version of a living meter once more, to begin earlier. METER_NOT_FOUND where it was ended meanwhile. */
function continued(meter: string): (stored: readonly MeterVersion[]) => MeterVersion {
  return (stored) => {
    const life = meterLife(stored, meter);
    if (life === null || life.endedAt !== null) throw notFound("meter", meter);
    return { ...life.newest, version: life.newest.version + 1 };
  };
}
