import { readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

import { expect, it, onTestFinished } from "vitest";

import { limits } from "../../src/engine/limits.ts";
import { depthOr, testRandom, type SeededRandom } from "./depth.ts";
import { recordFigures } from "./figures.ts";
import { load } from "./load.ts";
import { startApp, type MeteredApp } from "./metered-app.ts";
import { expectWhole, figuresOf, startOracle, type Oracle } from "./oracle.ts";
import { progress } from "./progress.ts";
import { emptyFolder, programEnvironment, startStripeProgram, writeConfiguration } from "./place.ts";
import { settleReports } from "./settle.ts";

const SOAK_MS = depthOr("SOAK_SECONDS", { ci: 120, long: 3_600 }) * 1_000;
const LIFE_MS = Math.min(depthOr("SOAK_LIFE_SECONDS", { ci: 25, long: 300 }) * 1_000, SOAK_MS);
/** Requests between two looks. */
const REQUESTS = 1_500;
/** Looks before heaps are compared: code is compiled and caches fill first. */
const WARM_LOOKS = 3;
/** A kept object of any kind would cost more for each request. Noise is not in every life; a leak is. */
const HEAP_BYTES_A_REQUEST = 32;
/** Connections to Stripe that are kept for the next report, and a segment that is read; nothing grows with requests. */
const HANDLES_GAINED_MAX = 8;
const RSS_BYTES_MAX = 400 * 1024 * 1024;
/** The log is written back from 16 MiB on; a transaction or two may stand beyond. */
const WAL_BYTES_MAX = 40 * 1024 * 1024;
/** A segment that is being filled, and those whose lines are not stored yet. */
const JOURNAL_BYTES_MAX = 24 * 1024 * 1024;
/** When all lines are stored: a segment that is being filled, and a full one that is read to its end a moment later. */
const JOURNAL_FLUSHED_BYTES_MAX = 2 * limits.segmentBytesMax;
/** Looks that a life has at least, so that its slope says something. */
const LOOKS_MIN = 6;
const WAIT_MS = 60_000;

/** What the probe in the app tells after it collected all garbage. */
interface Look {
  readonly requests: number;
  readonly appHeapBytes: number;
  readonly workerHeapBytes: number;
  readonly rssBytes: number;
  /** Open descriptors. */
  readonly files: number;
  /** Timers, sockets and the like that the event loop knows of. */
  readonly resources: number;
}

function look(app: MeteredApp, requests: number): Promise<Look> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error("the app did not tell its memory")), WAIT_MS);
    const listen = (message: { kind: string } & Omit<Look, "requests">): void => {
      if (message.kind !== "measured") return;
      clearTimeout(timer);
      app.child.off("message", listen);
      resolve({ ...message, requests });
    };
    app.child.on("message", listen);
    app.child.send({ measure: true });
  });
}

/** Bytes that each further request leaves behind: the median slope between any two looks, which single peaks do not move. */
function slope(looks: readonly Look[], bytes: (one: Look) => number): number {
  const slopes = looks.flatMap((one, at) =>
    looks.slice(at + 1).map((later) => (bytes(later) - bytes(one)) / (later.requests - one.requests)),
  );
  return slopes.toSorted((a, b) => a - b)[Math.floor(slopes.length / 2)] ?? Number.POSITIVE_INFINITY;
}

/** By how much a count is surely higher at the end than it was at the start. */
function gainOf(looks: readonly Look[], count: (one: Look) => number): number {
  return Math.min(...looks.slice(-3).map(count)) - Math.max(...looks.slice(0, 3).map(count));
}

function bytesBelow(folder: string): number {
  const names = readdirSync(folder, { recursive: true, encoding: "utf8" });
  return names.reduce((sum, name) => sum + (statSync(join(folder, name), { throwIfNoEntry: false })?.size ?? 0), 0);
}

interface World {
  readonly folder: string;
  readonly oracle: Oracle;
  readonly random: SeededRandom;
}

/** The greatest that was seen of each. */
interface Most {
  wal: number;
  journal: number;
  /** Of the journal when all its lines were stored. */
  flushedJournal: number;
  rss: number;
}

/** One life of an app: load and looks in turn. Answers the looks after it was warm. */
async function live(
  app: MeteredApp,
  name: string,
  { folder, oracle, random }: World,
  most: Most,
): Promise<readonly Look[]> {
  const port = await app.port;
  const bornAt = performance.now();
  const looks: Look[] = [];
  while (performance.now() - bornAt < LIFE_MS || looks.length < WARM_LOOKS + LOOKS_MIN) {
    const { failures } = await load({
      port,
      oracle,
      random,
      prefix: `${name}-${looks.length}`,
      clients: 4,
      requests: REQUESTS,
      onAnswer: (token) => oracle.acknowledged(token),
    });
    expect(failures).toEqual([]);
    most.journal = Math.max(most.journal, bytesBelow(join(folder, "meter.db-journals")));
    most.wal = Math.max(most.wal, statSync(join(folder, "meter.db-wal"), { throwIfNoEntry: false })?.size ?? 0);
    expect(await app.flush()).toBeNull();
    most.flushedJournal = Math.max(most.flushedJournal, bytesBelow(join(folder, "meter.db-journals")));
    looks.push(await look(app, (looks.length + 1) * REQUESTS));
  }
  most.rss = Math.max(most.rss, ...looks.map(({ rssBytes }) => rssBytes));
  const warm = looks.slice(WARM_LOOKS);
  expect(gainOf(warm, ({ files }) => files)).toBeLessThanOrEqual(HANDLES_GAINED_MAX);
  expect(gainOf(warm, ({ resources }) => resources)).toBeLessThanOrEqual(HANDLES_GAINED_MAX);
  return warm;
}

it("under load for long, with restarts in order and by kill -9: heaps, descriptors, log and journal stay bounded, and the books are right", async () => {
  const folder = emptyFolder();
  const oracle = await startOracle();
  onTestFinished(() => oracle.close());
  const stripe = await startStripeProgram();
  writeConfiguration(folder, stripe.url);
  const world: World = { folder, oracle, random: testRandom() };
  const settings = programEnvironment(0);
  const probe = pathToFileURL(join(import.meta.dirname, "soak-probe.js")).href;
  const env = { ...settings, NODE_OPTIONS: `${settings["NODE_OPTIONS"] ?? ""} --import=${probe}` };
  const startedAt = performance.now();
  const most: Most = { wal: 0, journal: 0, flushedJournal: 0, rss: 0 };
  const slopes = { express: { app: Infinity, worker: Infinity }, node: { app: Infinity, worker: Infinity } };
  let lives = 0;
  const tell = progress("soak, seconds", SOAK_MS / 1_000);
  for (; performance.now() - startedAt < SOAK_MS || lives < 2; lives++) {
    const framework = lives % 2 === 0 ? "express" : "node";
    const app = startApp({ folder, env, framework });
    const looks = await live(app, `life${lives}`, world, most);
    const least = slopes[framework];
    least.app = Math.min(
      least.app,
      slope(looks, ({ appHeapBytes }) => appHeapBytes),
    );
    least.worker = Math.min(
      least.worker,
      slope(looks, ({ workerHeapBytes }) => workerHeapBytes),
    );
    if (lives % 4 < 2) app.child.kill("SIGKILL");
    else void app.close();
    await app.gone;
    tell(Math.round((performance.now() - startedAt) / 1_000), `${lives + 1} lives, ${noteOf(most, slopes)}`);
  }
  const offsetMs = await settleReports(folder, stripe, 0);
  const verdict = await oracle.check({ directory: folder, stripeUrl: stripe.url, env: programEnvironment(offsetMs) });
  recordFigures({
    test: "soak",
    rounds: lives,
    ...figuresOf(verdict),
    note: `${Math.round((performance.now() - startedAt) / 1_000)} s; ${noteOf(most, slopes)}`,
  });
  expectWhole(verdict);
  for (const { app, worker } of Object.values(slopes)) {
    expect(app).toBeLessThan(HEAP_BYTES_A_REQUEST);
    expect(worker).toBeLessThan(HEAP_BYTES_A_REQUEST);
  }
  expect(most.rss).toBeLessThan(RSS_BYTES_MAX);
  expect(most.wal).toBeLessThan(WAL_BYTES_MAX);
  expect(most.journal).toBeLessThan(JOURNAL_BYTES_MAX);
  expect(most.flushedJournal).toBeLessThan(JOURNAL_FLUSHED_BYTES_MAX);
});

function noteOf(
  most: Most,
  slopes: Readonly<Record<string, { readonly app: number; readonly worker: number }>>,
): string {
  const all = Object.values(slopes);
  const app = Math.max(...all.map((each) => each.app)).toFixed(1);
  const worker = Math.max(...all.map((each) => each.worker)).toFixed(1);
  return `heap ${app} and worker ${worker} bytes a request, RSS ≤ ${inMiB(most.rss)}, log ≤ ${inMiB(most.wal)}, journal ≤ ${inMiB(most.journal)}`;
}

function inMiB(bytes: number): string {
  return `${(bytes / 1024 / 1024).toFixed(1)} MiB`;
}
