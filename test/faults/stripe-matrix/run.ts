import { join } from "node:path";

import type { UsageEvent } from "../../../src/core/event.ts";
import { ingest } from "../../../src/engine/ingest/ingest.ts";
import type { OutboxRow, Store } from "../../../src/engine/ports.ts";
import { openSqliteStore } from "../../../src/sqlite/sqlite-store.ts";
import { manualClock, type ManualClock } from "../../../src/testing/manual-clock.ts";
import { calls, catalogOf, chat, DAY, hourly, HOUR, MINUTE, START, tokens } from "../../engine/world.ts";
import { seededRandom } from "../depth.ts";
import { refusesKey, type Case } from "./factors.ts";
import { startLife, SUCCESSION_MS, type Life, type LifeOptions, type Traffic } from "./life.ts";
import { openWire, type Wire } from "./wire.ts";

export const COMPANIES = ["acme", "globex", "initech"] as const;
export const catalog = catalogOf(tokens, calls);

/** A case at its end, for the oracle. */
export interface CaseEnd {
  readonly matrixCase: Case;
  readonly store: Store;
  readonly wire: Wire;
  readonly lives: readonly Life[];
  readonly traffic: Traffic;
  /** All events that were taken in. */
  readonly events: readonly UsageEvent[];
  /** All rows after the first round under the fault, and what Stripe had counted by then, by identifier. */
  readonly firstRound: { readonly rows: readonly OutboxRow[]; readonly counted: ReadonlySet<string> };
  /** Reports in each round while the key was refused, or while our clock was wrong. */
  readonly stoppedRounds: readonly number[];
  readonly wrongClockRounds: readonly number[];
  readonly hasCrashed: boolean;
  /** Reports that were not at rest when time had run on for long. */
  readonly unresolved: number;
  /** How long after the faults the last report came to rest. */
  readonly restlessMs: number;
}

/** The row that faults strike: the first window of one company on one meter. */
export const isStruck: LifeOptions["isStruck"] = ({ company, meter, windowStart, sequence }) =>
  company === "acme" && meter === "chat_tokens" && windowStart === START && sequence === 0;

interface Scene {
  readonly matrixCase: Case;
  readonly time: ManualClock;
  readonly wire: Wire;
  readonly store: Store;
  readonly lives: Life[];
  readonly startNext: () => Promise<void>;
  /** How far our clock is from the true one. */
  wrongByMs: number;
  readonly stoppedRounds: number[];
  readonly wrongClockRounds: number[];
}

/** Plays one combination in a folder of its own: usage, the fault and the death, the clock, then time without faults. */
export async function playCase(
  matrixCase: Case,
  place: { readonly folder: string; readonly number: number },
): Promise<CaseEnd> {
  const { number } = place;
  const path = join(place.folder, `case-${number}.db`);
  const time = manualClock(START);
  const wire = await openWire({
    clock: time,
    order: matrixCase.order,
    struckWindow: START,
    variety: number,
    stripe: matrixCase.fault === "400 already exists" ? { idempotencyHorizonMs: 0 } : {},
  });
  for (const meter of [tokens, calls]) wire.stripe.createMeter({ event_name: meter.reportAs });
  for (const company of COMPANIES)
    wire.stripe.createCustomer({ id: `cus_${company}`, metadata: { company_id: company } });
  const store = await openSqliteStore({ path, bucketMs: MINUTE });
  const crash = { point: matrixCase.crash, hasHappened: false };
  const traffic: Traffic = { lanes: new Map(), crowded: [] };
  const lives: Life[] = [];
  const random = seededRandom(number);
  const startNext = async (): Promise<void> => {
    const name = `reporter-${lives.length + 1}`;
    const clock = { now: (): number => time.now() + scene.wrongByMs };
    const own = { path, catalog, settings: hourly, time, clock, wire, crash, isStruck, traffic, name };
    lives.push(await startLife({ ...own, random: () => random.next() }));
  };
  const scene: Scene = {
    matrixCase,
    time,
    wire,
    store,
    lives,
    startNext,
    wrongByMs: 0,
    stoppedRounds: [],
    wrongClockRounds: [],
  };
  for (let at = 0; at < Number(matrixCase.reporters); at++) await startNext();

  const events = usage(() => random.next());
  await takeIn(scene, events);
  time.advance(2 * HOUR + 6 * MINUTE);
  wire.strike(matrixCase.fault);
  const firstRound = await meetFault(scene);
  await wire.deliverLate();
  // What is refused for good is refused as long as it is sent.
  if (matrixCase.fault !== "400 for good") wire.strike(null);
  await moveClocks(scene);
  const later = COMPANIES.flatMap((company) => [chat("3.7", { company, time: time.now() })]);
  await takeIn(scene, later);
  const healedAt = time.now();
  const { unresolved, quietAt } = await untilQuiet(scene);
  const { stoppedRounds, wrongClockRounds } = scene;
  const seen = { matrixCase, store, wire, lives, traffic, events: [...events, ...later], firstRound };
  return {
    ...seen,
    stoppedRounds,
    wrongClockRounds,
    hasCrashed: crash.hasHappened,
    unresolved,
    restlessMs: quietAt - healedAt,
  };
}

/** Gives a case's files and ports back. */
export async function endCase({ store, lives, wire }: CaseEnd): Promise<void> {
  for (const life of lives) await life.close();
  await store.close();
  await wire.close();
}

/** Two windows of usage for each company, in fractions. */
function usage(random: () => number): readonly UsageEvent[] {
  return COMPANIES.flatMap((company) =>
    [0, 20, 50, 70, 110].map((minute) =>
      chat(`${Math.floor(random() * 1_000)}.${Math.floor(random() * 10)}`, { company, time: START + minute * MINUTE }),
    ),
  );
}

/** Events come as calls do: one after the other, the newest first, or twice. */
async function takeIn({ matrixCase, store, time }: Scene, events: readonly UsageEvent[]): Promise<void> {
  const inOrder = matrixCase.order === "reordered" ? events.toReversed() : events;
  for (let copy = 0; copy < (matrixCase.order === "duplicated" ? 2 : 1); copy++)
    await ingest(store, catalog, inOrder, time.now());
}

/** All reporters at once. One that dies has a successor once its leases have run out. */
async function roundOfAll(scene: Scene, counted?: number[]): Promise<void> {
  const { lives, wire, matrixCase } = scene;
  const before = wire.made.length;
  await Promise.all(lives.filter((life) => !life.isDead()).map((life) => life.round()));
  const reports = wire.made.slice(before).filter(({ path }) => path === "/v1/billing/meter_events");
  counted?.push(reports.length);
  while (lives.filter((life) => !life.isDead()).length < Number(matrixCase.reporters)) await scene.startNext();
}

/** Rounds under the fault; after a death at once the clocks' turn, unless another reporter goes on. */
async function meetFault(scene: Scene): Promise<CaseEnd["firstRound"]> {
  const { matrixCase, lives, time } = scene;
  const counted = refusesKey(matrixCase.fault) ? scene.stoppedRounds : undefined;
  await roundOfAll(scene, counted);
  const identifiers = scene.wire.stripe.ledger().flatMap((entry) => entry.identifiers);
  const first = { rows: await scene.store.outbox({ limit: 1_000 }), counted: new Set(identifiers) };
  for (let rounds = 1; rounds < 3; rounds++) {
    if (matrixCase.reporters === "1" && lives.length > 1) return first;
    time.advance(SUCCESSION_MS);
    await roundOfAll(scene, counted);
  }
  time.advance(SUCCESSION_MS);
  return first;
}

async function moveClocks(scene: Scene): Promise<void> {
  const { time, matrixCase } = scene;
  switch (matrixCase.clock) {
    case "right":
      return;
    case "25 h pass":
      return void time.advance(25 * HOUR);
    case "36 days pass":
      return void time.advance(36 * DAY);
    case "set back 1 h":
      return wrongFor(scene, -HOUR);
    case "25 h ahead":
      return wrongFor(scene, 25 * HOUR);
  }
}

async function wrongFor(scene: Scene, wrongByMs: number): Promise<void> {
  scene.wrongByMs = wrongByMs;
  for (let rounds = 0; rounds < 4; rounds++) {
    await roundOfAll(scene, scene.wrongClockRounds);
    scene.time.advance(SUCCESSION_MS);
  }
  scene.wrongByMs = 0;
}

/** Time without faults until every report is at rest, and three hours on; answers how many never were, and since when all were. */
async function untilQuiet(scene: Scene): Promise<{ readonly unresolved: number; readonly quietAt: number }> {
  const { time } = scene;
  let quietSteps = 0;
  let unresolved = 0;
  let quietAt = time.now();
  for (let step = 0; step < STEPS_MAX && quietSteps < 3; step++) {
    time.advance(step < 12 ? 20 * MINUTE : HOUR);
    await roundOfAll(scene);
    unresolved = await unresolvedIn(scene);
    quietSteps = unresolved === 0 ? quietSteps + 1 : 0;
    if (unresolved > 0) quietAt = time.now();
  }
  time.advance(3 * HOUR);
  await roundOfAll(scene);
  return { unresolved, quietAt };
}

/** Under a clock that was far ahead a report waits a day longer. */
const STEPS_MAX = 12 + 48;

async function unresolvedIn({ store, time }: Scene): Promise<number> {
  const { outbox } = await store.counts();
  const dirty = await store.dirtyWindows({ windowMs: HOUR, before: time.now() + HOUR, limit: 1_000 });
  return outbox.pending + outbox.sending + dirty.length;
}
