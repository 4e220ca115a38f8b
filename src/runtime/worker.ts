import { parentPort, workerData } from "node:worker_threads";

import type { Settings } from "../config/settings.ts";
import { sentenceOf } from "../core/errors.ts";
import { limits } from "../engine/limits.ts";
import type { BackendCall, FromWorker, ToWorker, WebhookCall, WebhookReply, WorkerOrder } from "./messages.ts";
import type { WriterHost } from "./host.ts";
import { openNode, type MeterNode } from "./node.ts";
import { periodCycle } from "./period-cycle.ts";
import { periodLoop } from "./period-loop.ts";
import { reportCycle } from "./report-cycle.ts";
import { sentFailure } from "./sent-failure.ts";
import { holderName, systemClock, systemDeadline } from "./system.ts";
import { webhookTaker } from "./take-webhook.ts";

/** The thread that owns the Store: it drains journals, closes windows and reports, off the request's way. */
const order: WorkerOrder = workerData;
const port = parentPort;
if (port === null) throw new Error("runtime/worker is started by meter(), not directly");

const say = (message: FromWorker): void => port.postMessage(message);
const holder = holderName();
const takeWebhook = webhookTaker({ clock: systemClock, onNotice: (notice) => say({ kind: "notice", notice }) });
let node: MeterNode | null = null;
let opening: Promise<MeterNode> | null = null;
let closing = false;
let turn: Promise<void> = Promise.resolve();
/** What the worker was started with, or was told since. */
let { settings } = order;
/** Calls of the HTTP service, which are answered before the store is closed. */
const callsUnderWay = new Set<Promise<void>>();
let host: Promise<WriterHost> | null = null;
let drainedAt: number | null = null;
/** Lines of `durability: memory` that wait for the store. */
const waiting: string[] = [];
/** Those among them that the drain has and the store has not. */
let handedIn = 0;

/** Work on the store goes one after another: a flush never overtakes the loop's own drain. */
function inTurn(work: () => Promise<void>): Promise<void> {
  const next = turn.then(work);
  turn = next.catch(() => undefined);
  return next;
}

/** Reporting and draining ask for it at once: it is opened one time, and again after a failure. */
function ready(): Promise<MeterNode> {
  if (node !== null) return Promise.resolve(node);
  opening ??= open().finally(() => (opening = null));
  return opening;
}

async function open(): Promise<MeterNode> {
  try {
    node = await openNode({
      settings,
      clock: systemClock,
      ownWriter: order.ownWriter,
      adoptFrom: order.adoptFrom,
      onNotice: (notice) => say({ kind: "notice", notice }),
    });
  } catch (error) {
    say({ kind: "unopened", failure: sentFailure(error) });
    throw error;
  }
  say({ kind: "ready" });
  return node;
}

async function takeAll(): Promise<void> {
  const opened = await ready();
  const lines = waiting.splice(0);
  opened.memory.push(lines);
  if (closing) opened.memory.end();
  handedIn += lines.length;
  await opened.drainAll();
  if (handedIn > 0) say({ kind: "taken", lines: handedIn });
  handedIn = 0;
  drainedAt = systemClock.now();
}

port.on("message", (message: ToWorker) => {
  switch (message.kind) {
    case "lines":
      waiting.push(...message.lines);
      break;
    case "flush":
      void inTurn(takeAll).then(
        () => say({ kind: "done", call: message.call, error: null }),
        (error: unknown) => say({ kind: "done", call: message.call, error: sentenceOf(error) }),
      );
      break;
    case "webhook":
      void webhook(message).then((reply) => say({ kind: "webhook", call: message.call, ...reply }));
      break;
    case "call":
      // Whoever gave up was told that nothing is certain, and asks again: doing it now would only keep others waiting.
      if (systemClock.now() <= message.until) take(message.call, () => serve(message));
      break;
    case "adopt":
      take(message.call, () => adopt(message.settings, message.from));
      break;
    case "close":
      closing = true;
      void inTurn(async () => {
        await Promise.race([Promise.all([...callsUnderWay, periods.done()]), systemDeadline(limits.closingCallsMs)]);
        await takeAll();
        await node?.close();
      }).then(
        () => leave(message.call, null),
        (error: unknown) => leave(message.call, sentenceOf(error)),
      );
      break;
  }
});

/** Begins a call and answers it when it is done, however it ends. */
function take(call: number, work: () => Promise<unknown>): void {
  const done = work().then(
    (answer) => say({ kind: "answer", call, answer }),
    (error: unknown) => say({ kind: "failure", call, failure: sentFailure(error) }),
  );
  callsUnderWay.add(done);
  void done.finally(() => callsUnderWay.delete(done));
}

/** Beside the drain's turn: each call is as many transactions as it needs. The engine of the service is loaded by the first one. */
async function serve({ name, argument }: BackendCall): Promise<unknown> {
  const opened = await ready();
  const { runOperation } = await import("./operations.ts");
  host ??= openHost(opened).catch((error: unknown) => {
    host = null;
    throw error;
  });
  return runOperation(await host, name, argument);
}

/** What a crash left half done of sessions is finished before anything else is asked. */
async function openHost(opened: MeterNode): Promise<WriterHost> {
  const { writerHost } = await import("./host.ts");
  const made = writerHost(opened, { drainedAt: () => drainedAt });
  await made.sessions.finishAll();
  const { finishMeters } = await import("./unfinished-meters.ts");
  // Beside all calls: the past may be long.
  finishMeters(made).catch((error: unknown) => (closing ? undefined : noticeOf(error, "METER_STORE_FAILED")));
  return made;
}

async function adopt(edited: Settings, from: number): Promise<void> {
  await (await ready()).adopt(edited, from);
  settings = edited;
}

/** Beside the drain's turn, since it may wait for the network. A store that cannot be opened takes it when Stripe calls again. */
async function webhook(call: WebhookCall): Promise<WebhookReply> {
  if (closing) return { status: 503, text: "This process is closing; make the call again." };
  try {
    return await takeWebhook(await ready(), call);
  } catch {
    return { status: 503, text: "The store is not ready; make the call again." };
  }
}

function leave(call: number, error: string | null): void {
  say({ kind: "done", call, error });
  port?.close();
}

/** A batch in a turn: the drain goes on between two. */
async function purge(): Promise<number> {
  return (await (await ready()).purge()) ? limits.purgePauseMs : limits.purgeEveryMs;
}

function noticeOf(error: unknown, fallback: string): void {
  const code =
    typeof error === "object" && error !== null && "code" in error && typeof error.code === "string"
      ? error.code
      : fallback;
  say({ kind: "notice", notice: { code, text: sentenceOf(error) } });
}

/**
 * Waits a little, longer while the store fails, and never keeps the process alive by itself. Work may say how long to
 * wait for the next time.
 */
function loop(delayMs: number, work: () => Promise<number | void>, failure: string): void {
  let waitMs = delayMs;
  const next = (): void => {
    if (closing) return;
    setTimeout(() => {
      if (closing) return;
      inTurn(async () => {
        waitMs = (await work()) ?? delayMs;
      })
        .catch((error: unknown) => {
          if (waitMs === delayMs) noticeOf(error, failure);
          waitMs = Math.min(waitMs * 2, limits.storeRetryMaxMs);
        })
        .finally(next);
    }, waitMs);
  };
  next();
}

loop(limits.drainEveryMs, takeAll, "METER_STORE_UNREADABLE");
loop(limits.purgeFirstMs, purge, "METER_STORE_UNREADABLE");
reportLoop();
const periods = periodLoop({
  isClosing: () => closing,
  round: async () => void (await periodCycle(await ready(), { clock: systemClock, isStopped: () => closing })),
  onFailure: (error) => noticeOf(error, "METER_STORE_UNREADABLE"),
});

/** Reporting waits for the network, so it must not stand in the drain's turn: the store's own transactions keep them apart. */
function reportLoop(): void {
  const stripe = order.settings.billing.stripe;
  if (!order.reports || stripe === null || stripe.apiKey === null) return;
  let failing = false;
  const next = (): void => {
    if (closing) return;
    setTimeout(() => {
      if (closing) return;
      ready()
        .then((opened) =>
          reportCycle(opened, { clock: systemClock, holder, onNotice: (notice) => say({ kind: "notice", notice }) }),
        )
        .then(
          () => void (failing = false),
          (error: unknown) => {
            // A round that fails each minute is told once, until one goes well.
            if (!failing) noticeOf(error, "METER_STRIPE_REFUSED");
            failing = true;
          },
        )
        .finally(next);
    }, stripe.report.everyMs);
  };
  next();
}
