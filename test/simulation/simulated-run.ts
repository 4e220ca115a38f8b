import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { compileCatalog, type Catalog } from "../../src/core/catalog.ts";
import { limits } from "../../src/engine/limits.ts";
import { pace } from "../../src/engine/delivery/pace.ts";
import type { Store } from "../../src/engine/ports.ts";
import { reconcile } from "../../src/engine/reconciliation/reconcile.ts";
import { withReporterLease } from "../../src/engine/delivery/reporter-lease.ts";
import { reportOnce, type ReportSettings } from "../../src/engine/delivery/report.ts";
import { openDrain } from "../../src/journal/drain.ts";
import type { Journal } from "../../src/journal/journal.ts";
import { memoryStore } from "../../src/memory/memory-store.ts";
import { isMeterbookError } from "../../src/core/errors.ts";
import { takeEvents } from "../../src/runtime/refused-event.ts";
import { openSqliteStore } from "../../src/sqlite/sqlite-store.ts";
import { stripeReporter } from "../../src/stripe/stripe-reporter.ts";
import { moveClock } from "../../src/testing/local-stripe/agenda.ts";
import { stateFrom } from "../../src/testing/local-stripe/options.ts";
import { seedCustomer, seedMeter, seedSubscription } from "../../src/testing/local-stripe/seeds.ts";
import type { LocalState } from "../../src/testing/local-stripe/state.ts";
import { COMPANIES, declareDead, openAppJournal, runApp, type Book } from "./app.ts";
import { METER } from "./meter.ts";
import { planOf, TROUBLED_MS, type FaultPlan } from "./plan.ts";
import { atPorts } from "./ports.ts";
import { seededRandom, type SeededRandom } from "../faults/seeded-random.ts";
import { Scheduler, type Actor } from "./scheduler.ts";
import { simulatedTransport, type Wire } from "./transport.ts";

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
/** 2026-11-22T10:00:00Z. */
const START = 1_795_341_600_000;

const SETTINGS: ReportSettings = {
  unmatchedCustomer: "hold",
  noSubscription: "hold",
  report: { windowMs: HOUR, latenessMs: 5 * MINUTE, fractionDigits: 0, graceMs: HOUR },
};

/** What a run left behind, for the oracle. */
export interface RunEnd {
  readonly seed: number;
  readonly plan: FaultPlan;
  readonly trace: string;
  readonly steps: number;
  readonly book: Book;
  readonly store: Store;
  readonly catalog: Catalog;
  readonly stripe: LocalState;
  readonly wire: Wire;
  readonly crashes: number;
  readonly close: () => Promise<void>;
}

/** A whole installation in one process: apps, workers, reporters and the biller, with the faults that the seed draws. */
export async function simulate(seed: number): Promise<RunEnd> {
  const run = new SimulatedRun(seed);
  await run.go();
  return run.end();
}

class SimulatedRun {
  readonly #seed: number;
  readonly #random: SeededRandom;
  readonly #plan: FaultPlan;
  readonly #scheduler: Scheduler;
  readonly #folder = mkdtempSync(join(FOLDERS, "meterbook-sim-"));
  readonly #book: Book = { attempted: new Map(), acknowledged: new Set() };
  readonly #wire: Wire = { reports: [], inFlight: new WeakMap(), crowded: [] };
  readonly #stripe: LocalState;
  readonly #catalog: Catalog;
  readonly #opened: Store[] = [];
  readonly #journals: Journal[] = [];
  readonly #memory = memoryStore({ bucketMs: 15 * MINUTE });
  #lives = 0;
  #crashes = 0;

  constructor(seed: number) {
    this.#seed = seed;
    this.#random = seededRandom(seed);
    this.#plan = planOf(this.#random);
    this.#scheduler = new Scheduler(this.#random, START);
    this.#stripe = stateFrom({
      clock: { now: () => this.#scheduler.now },
      summaryLagMs: this.#plan.summaryLagMs,
      identifierHorizonMs: this.#plan.forgets ? DAY : 1_000 * DAY,
    });
    seedMeter(this.#stripe, { event_name: METER.reportAs });
    for (const company of COMPANIES.slice(0, -1)) seedSubscriber(this.#stripe, company);
    this.#catalog = compileCatalog({
      versions: [{ definition: METER, version: 1, effectiveFrom: 0 }],
      fields: {},
      unknownIdentity: "hold",
    });
  }

  async go(): Promise<void> {
    for (let app = 0; app < this.#plan.apps; app++) {
      this.#live(`app${app}`, (actor) => this.#app(actor));
      this.#live(`worker${app}`, (actor) => this.#worker(actor));
    }
    for (let at = 0; at < this.#plan.reporters; at++) this.#live(`reporter${at}`, (actor) => this.#reporter(actor));
    this.#live("world", (actor) => this.#world(actor), { isSteady: true });
    await this.#scheduler.run(START + TROUBLED_MS);
    for (let waited = 0; waited < SETTLING_MS && !(await this.#isQuiet()); waited += LOOK_MS)
      await this.#scheduler.run(START + TROUBLED_MS + waited + LOOK_MS);
  }

  /** Every acknowledged event is stored, every window closed, every report decided. */
  async #isQuiet(): Promise<boolean> {
    const store = this.#anyStore();
    if (store === undefined) return false;
    const { outbox, events } = await store.counts();
    if (outbox.pending + outbox.sending + outbox.held > 0 || events < this.#book.acknowledged.size) return false;
    const open = await store.dirtyWindows({ windowMs: HOUR, before: Number.MAX_SAFE_INTEGER, limit: 1 });
    return open.length === 0;
  }

  #anyStore(): Store | undefined {
    return this.#plan.store === "memory" ? this.#memory : this.#opened.at(-1);
  }

  end(): RunEnd {
    const store = this.#anyStore();
    if (store === undefined) throw new Error("no store was ever opened");
    return {
      seed: this.#seed,
      plan: this.#plan,
      trace: this.#scheduler.trace(),
      steps: this.#scheduler.steps,
      book: this.#book,
      store,
      catalog: this.#catalog,
      stripe: this.#stripe,
      wire: this.#wire,
      crashes: this.#crashes,
      close: () => this.#close(),
    };
  }

  async #close(): Promise<void> {
    for (const journal of this.#journals) await journal.close();
    for (const store of this.#opened) await store.close();
    rmSync(this.#folder, { recursive: true, force: true });
  }

  /** Starts a life; when it dies, the next one begins a little later, as a supervisor would have it. */
  #live(name: string, work: (actor: Actor) => Promise<void>, { isSteady = false } = {}): void {
    const actor: Actor = {
      name: `${name}.${++this.#lives}`,
      isDead: false,
      frozenUntil: 0,
      skewMs: 0,
      crashRate: isSteady || !this.#isTroubled() ? 0 : this.#plan.crashRate,
      onCrash: () => {
        this.#crashes += 1;
        this.#live(name, work, { isSteady });
      },
    };
    const started = this.#scheduler.turn(actor, "start", this.#random.between(0, 6) * MINUTE);
    // What it throws is a defect of the run itself: it must not vanish.
    started.then(() => work(actor)).catch((error: unknown) => this.#failed(error));
  }

  #failed(error: unknown): void {
    queueMicrotask(() => {
      throw error;
    });
  }

  #isTroubled(): boolean {
    return this.#scheduler.now < START + TROUBLED_MS;
  }

  /** Between two rounds an actor may freeze, or its clock may jump; when the trouble is over, all are well. */
  #disturb(actor: Actor): void {
    if (!this.#isTroubled()) {
      Object.assign(actor, { crashRate: 0, skewMs: 0 });
      return;
    }
    if (this.#random.next() < this.#plan.freezeRate)
      actor.frozenUntil = this.#scheduler.now + this.#random.between(1, 601) * MINUTE;
    if (this.#random.next() < this.#plan.clockJumpRate)
      actor.skewMs = JUMPS[this.#random.between(0, JUMPS.length)] ?? 0;
  }

  async #store(): Promise<Store> {
    if (this.#plan.store === "memory") return this.#memory;
    const opening = openSqliteStore({ path: join(this.#folder, "meter.db"), bucketMs: 15 * MINUTE });
    const store = await this.#scheduler.apart(opening);
    this.#opened.push(store);
    return store;
  }

  async #app(actor: Actor): Promise<void> {
    const journal = openAppJournal(this.#folder, () => this.#scheduler.now + actor.skewMs, this.#random);
    this.#journals.push(journal);
    const dies = actor.onCrash;
    Object.assign(actor, {
      onCrash: () => {
        declareDead(this.#folder, journal, this.#scheduler.now);
        dies();
      },
    });
    await runApp({
      actor,
      scheduler: this.#scheduler,
      journal,
      book: this.#book,
      plan: this.#plan,
      random: this.#random,
      until: START + TROUBLED_MS,
    });
  }

  async #worker(actor: Actor): Promise<void> {
    const now = (): number => this.#scheduler.now + actor.skewMs;
    const store = atPorts(await this.#store(), this.#scheduler, actor);
    const drain = openDrain({ root: this.#folder, clock: { now }, own: null, onProblem: () => undefined });
    const intake = { store, root: this.#folder, now, onNotice: () => undefined };
    for (;;) {
      await this.#scheduler.turn(actor, "drain", this.#random.between(1, 60) * MINUTE);
      this.#disturb(actor);
      for (;;) {
        const { events } = drain.next(limits.batchEventsMax);
        if (events.length === 0) break;
        await takeEvents(intake, this.#catalog, events);
        drain.commit();
      }
    }
  }

  async #reporter(actor: Actor): Promise<void> {
    const clock = { now: () => this.#scheduler.now + actor.skewMs };
    const store = atPorts(await this.#store(), this.#scheduler, actor);
    const transport = simulatedTransport(
      {
        scheduler: this.#scheduler,
        state: this.#stripe,
        wire: this.#wire,
        random: this.#random,
        plan: this.#plan,
        isTroubled: () => this.#isTroubled(),
        startedAt: START,
      },
      actor,
    );
    const reporter = stripeReporter({
      apiKey: "sk_test_simulation",
      mode: "test",
      apiBase: "http://127.0.0.1:1",
      companyIdAt: { kind: "metadata", key: "company_id" },
      clock,
      transport,
    });
    const options = {
      store,
      catalog: this.#catalog,
      reporter,
      settings: SETTINGS,
      clock,
      holder: actor.name,
      random: () => this.#random.next(),
      wait: (ms: number) => this.#scheduler.turn(actor, "wait", ms),
      pace: pace(),
    };
    for (;;) {
      await this.#scheduler.turn(actor, "round", this.#random.between(15, 120) * MINUTE);
      this.#disturb(actor);
      try {
        const summary = await reportOnce(options);
        if (summary !== null && summary.stopped === null) await this.#reconcile(options);
      } catch (error) {
        // A worker tells such failures and goes on with the next round.
        if (!isMeterbookError(error)) throw error;
      }
    }
  }

  /** As the worker does after each round: what is due is compared with the biller's books. */
  async #reconcile(options: Parameters<typeof reportOnce>[0]): Promise<void> {
    const { graceMs } = SETTINGS.report;
    const pacing = options.pace ?? pace();
    await withReporterLease(options, (keepLease) =>
      reconcile({ ...options, graceMs, lanes: "due", readOnly: false, keepLease, pace: pacing }),
    );
  }

  async #world(actor: Actor): Promise<void> {
    await this.#scheduler.turn(actor, "customer appears", this.#plan.customerLateMs);
    moveClock(this.#stripe, 0);
    seedSubscriber(this.#stripe, COMPANIES[COMPANIES.length - 1] ?? "");
  }
}

/** A customer whose subscription bills all of the run, also when it appears late. */
function seedSubscriber(stripe: LocalState, company: string): void {
  const customer = seedCustomer(stripe, { metadata: { company_id: company } }).id;
  seedSubscription(stripe, { customer, meters: [METER.reportAs], anchor: (START - DAY) / 1_000 });
}

/** Here processes die and disks do not: memory is as good, and 300 runs need not wait for it. */
const FOLDERS = existsSync("/dev/shm") ? "/dev/shm" : tmpdir();
/** After the trouble: long enough for the longest wait of ours, the read-back of an unknown outcome included. */
const SETTLING_MS = 5 * DAY;
const LOOK_MS = 3 * HOUR;
const JUMPS = [-HOUR, 0, 0, DAY, 3 * MINUTE];
