import { connect } from "node:net";
import { once } from "node:events";

import { expect, it, onTestFinished } from "vitest";

import { depthOr, testRandom } from "./depth.ts";
import { recordFigures } from "./figures.ts";
import { expectWhole, figuresOf, startOracle } from "./oracle.ts";
import { emptyFolder } from "./place.ts";
import { serveLoad, type LoadStep, type Memory, type ServeLoadOptions, type ServeLoadResult } from "./serve-load.ts";
import { SERVED_YAML, startServed, writeServed } from "./served.ts";

/** Far less than the time after which a stopping service cuts its callers off. */
const STOP_BOUND_MS = 15_000;

const CALLS_AN_EDIT = 50;

/** A connection that is open and says nothing, or only a part of a call. */
async function openConnection(url: string, text: string): Promise<void> {
  const { port } = new URL(url);
  const socket = connect(Number(port), "127.0.0.1");
  onTestFinished(() => void socket.destroy());
  socket.on("error", () => undefined);
  await once(socket, "connect");
  socket.write(text);
}

interface Stopped {
  readonly tookMs: number;
  readonly seen: ServeLoadResult;
}

/** One life of the service, ended by SIGTERM after so many answers, while others have connections open and say nothing. */
async function oneStop(folder: string, after: number, load: Omit<ServeLoadOptions, "url">): Promise<Stopped> {
  const service = startServed(folder);
  const url = await service.url;
  for (const text of ["", "POST /v1/events HTTP/1.1\r\nhost:"]) await openConnection(url, text);
  let calls = 0;
  let stoppedAt = 0;
  const onStep = (step: LoadStep): void => {
    if (step !== "answered" || ++calls !== after) return;
    stoppedAt = performance.now();
    service.child.kill("SIGTERM");
  };
  const seen = await serveLoad({ ...load, url, onStep });
  await service.gone;
  const tookMs = performance.now() - stoppedAt;
  expect(service.child.exitCode).toBe(143);
  await expect(fetch(`${url}/v1/status`)).rejects.toThrow("fetch failed");
  return { tookMs, seen };
}

it("SIGTERM under HTTP load: what was answered is stored, the process ends in bounded time, and later calls are refused at once", async () => {
  const rounds = depthOr("SERVE_STOPS", { ci: 6, long: 200 });
  const random = testRandom();
  const folder = emptyFolder();
  const oracle = await startOracle();
  writeServed(folder);
  const memory: Memory = { unanswered: [], kept: [] };
  let longestMs = 0;
  let answered = 0;
  let refused = 0;
  try {
    for (let round = 1; round <= rounds; round++) {
      const load = { oracle, random, prefix: String(round), memory };
      const { tookMs, seen } = await oneStop(folder, random.between(20, 400), load);
      longestMs = Math.max(longestMs, tookMs);
      answered += seen.answered;
      refused += seen.refused.length;
      // What is not taken any more is said or cut, and never left hanging.
      const unexpected = seen.broken.filter((failure) => !/ECONNRESET|ECONNREFUSED|socket hang up|EPIPE/.test(failure));
      expect({ wrong: seen.wrong, unexpected }).toEqual({ wrong: [], unexpected: [] });
    }
    const verdict = await oracle.check({ directory: folder });
    recordFigures({
      test: "SIGTERM of meterbook serve under HTTP load",
      rounds,
      ...figuresOf(verdict),
      note: `${answered} calls answered, ${refused} of them with 503; the longest stop took ${Math.ceil(longestMs)} ms`,
    });
    expectWhole(verdict);
    expect(longestMs).toBeLessThan(STOP_BOUND_MS);
    expect(verdict.acknowledged).toBeGreaterThan(rounds * 20);
  } finally {
    await oracle.close();
  }
});

it("SIGHUP under HTTP load, with a good and a broken file in turn: no call is lost, refused or counted twice", async () => {
  const edits = depthOr("SERVE_EDITS", { ci: 12, long: 400 });
  const random = testRandom();
  const folder = emptyFolder();
  const oracle = await startOracle();
  writeServed(folder);
  const memory: Memory = { unanswered: [], kept: [] };
  try {
    const service = startServed(folder);
    const url = await service.url;
    let isEditing = true;
    let answered = 0;
    let atWork: (() => void) | null = null;
    const onStep = (step: LoadStep): void => {
      if (step === "answered" && ++answered % CALLS_AN_EDIT === 0) atWork?.();
    };
    const load = serveLoad({ url, oracle, random, prefix: "1", memory, onStep, goesOn: () => isEditing });
    for (let edit = 1; edit <= edits; edit++) {
      const isBroken = edit % 2 === 0;
      const more = `  more_${edit}: { aggregate: count }\n`;
      writeServed(folder, isBroken ? SERVED_YAML.replace("sum", "smu") : `${SERVED_YAML}${more}`);
      const told = service.said(isBroken ? /The last good configuration stays in force/ : /configuration is in force/);
      service.child.kill("SIGHUP");
      await told;
      await new Promise<void>((resolve) => (atWork = resolve));
    }
    isEditing = false;
    const seen = await load;
    expect({ wrong: seen.wrong, refused: seen.refused, broken: seen.broken }).toEqual({
      wrong: [],
      refused: [],
      broken: [],
    });
    service.child.kill("SIGTERM");
    await service.gone;
    writeServed(folder);
    const verdict = await oracle.check({ directory: folder });
    recordFigures({
      test: "SIGHUP of meterbook serve under HTTP load",
      rounds: edits,
      ...figuresOf(verdict),
      note: `${seen.answered} calls answered, none refused; every second edit was broken`,
    });
    expectWhole(verdict);
    expect(verdict.acknowledged).toBeGreaterThan(edits * 20);
  } finally {
    await oracle.close();
  }
});
