import type { Settings } from "../config/settings.ts";
import { MeterbookError, sentenceOf } from "../core/errors.ts";
import { limits } from "../engine/limits.ts";
import { LastingWorker } from "./lasting-worker.ts";
import type { FromWorker, ToWorker, WebhookCall, WebhookReply, WorkerOrder } from "./messages.ts";
import type { Notice } from "./notice.ts";
import { busyError, PendingCalls } from "./pending-calls.ts";
import { receivedFailure } from "./sent-failure.ts";

/** The app's end of the worker thread: starts it, restarts it, asks it to flush. Never keeps the process alive. */
export interface WorkerLink {
  /** Resolves when everything written so far is in the store; rejects when the store refused or the time was up. */
  flush(timeoutMs: number): Promise<void>;
  sendLines(lines: readonly string[]): void;
  /** Has the worker take a webhook call. Rejects when it died or did not answer in time: Stripe makes the call again. */
  takeWebhook(call: WebhookCall): Promise<WebhookReply>;
  /**
   * Resolves when the store is open, or was once. Where it never was, rejects with what its opening failed with, at once,
   * although it is tried again; METER_SERVER_BUSY when nothing is known by then.
   */
  ready(timeoutMs: number): Promise<void>;
  /** One call of the Backend. METER_SERVER_BUSY when it is not answered in time, or the worker died meanwhile. */
  call(name: string, argument: unknown, timeoutMs: number): Promise<unknown>;
  /** Puts an edited configuration into force, also for a worker that is started later. Rejects when it cannot be. */
  adopt(settings: Settings, from: number): Promise<void>;
  /** Calls of the Backend under way. */
  readonly callsWaiting: number;
  readonly restarts: number;
  close(timeoutMs: number): Promise<void>;
}

export interface WorkerLinkOptions {
  readonly order: WorkerOrder;
  readonly onNotice: (notice: Notice) => void;
  /** Lines of `durability: memory` that are in the store now. */
  readonly onTaken: (lines: number) => void;
  /** Another worker took the place of one that died. */
  readonly onRestart: () => void;
}

/** A flush, a close: a worker that is started again gets them once more. */
interface Ask {
  readonly message: ToWorker;
  readonly settle: (error: Error | null) => void;
}

/** A webhook call that waits for the worker. */
interface WebhookWaiting {
  readonly settle: (reply: WebhookReply | Error) => void;
}

/** Starts the worker at once; it opens the store by itself and reports when it cannot. */
export function startWorker(options: WorkerLinkOptions): WorkerLink {
  return new Link(options);
}

class Link implements WorkerLink {
  readonly #options: WorkerLinkOptions;
  readonly #asks = new Map<number, Ask>();
  readonly #webhooks = new Map<number, WebhookWaiting>();
  readonly #calls = new PendingCalls({ callsMax: limits.serverCallsMax, onWaiting: () => this.#holdIfAsked() });
  readonly #worker: LastingWorker<ToWorker, FromWorker>;
  #lastAsk = 0;
  #closed = false;
  /** Told already; a worker that cannot start would say so every second. */
  #isFailing = false;
  /** The store was open once: its file is there. */
  #isReady = false;
  /** Why it was never open; null before the first try is over. */
  #unopened: Error | null = null;
  readonly #onFirst = new Set<(failure: Error | null) => void>();
  #order: WorkerOrder;

  constructor(options: WorkerLinkOptions) {
    this.#options = options;
    this.#order = options.order;
    this.#worker = new LastingWorker({
      file: "worker",
      order: () => this.#order,
      onMessage: (message) => this.#receive(message),
      onFailed: (error) => this.#failed(error),
      onExit: () => this.#exited(),
      onRestart: () => this.#restarted(),
    });
  }

  get callsWaiting(): number {
    return this.#calls.size;
  }

  get restarts(): number {
    return this.#worker.restarts;
  }

  flush(timeoutMs: number): Promise<void> {
    return this.#closed ? Promise.resolve() : this.#ask(timeoutMs, (ask) => ({ kind: "flush", call: ask }));
  }

  sendLines(lines: readonly string[]): void {
    this.#worker.post({ kind: "lines", lines });
  }

  takeWebhook({ body, signature }: WebhookCall): Promise<WebhookReply> {
    if (this.#closed || !this.#worker.isUp) return Promise.reject(storeError("The worker is not ready."));
    return new Promise((resolve, reject) => {
      const call = ++this.#lastAsk;
      const settle = (reply: WebhookReply | Error): void => {
        clearTimeout(timer);
        this.#webhooks.delete(call);
        if (reply instanceof Error) reject(reply);
        else resolve(reply);
      };
      const late = (): void => settle(storeError("The store did not take the call in time."));
      const timer = setTimeout(late, limits.webhookTimeoutMs);
      timer.unref();
      this.#webhooks.set(call, { settle });
      this.#worker.post({ kind: "webhook", call, body, signature });
    });
  }

  ready(timeoutMs: number): Promise<void> {
    if (this.#isReady) return Promise.resolve();
    if (this.#unopened !== null) return Promise.reject(this.#unopened);
    return new Promise((resolve, reject) => {
      const settle = (failure: Error | null): void => {
        clearTimeout(timer);
        this.#onFirst.delete(settle);
        if (failure === null) resolve();
        else reject(failure);
      };
      const timer = setTimeout(() => settle(busyError("The store is not open yet.")), timeoutMs);
      this.#onFirst.add(settle);
    });
  }

  call(name: string, argument: unknown, timeoutMs: number): Promise<unknown> {
    if (this.#closed) return Promise.reject(busyError("The service is closing; nothing of the call was begun."));
    return this.#calls.ask(
      (call, until) => this.#worker.post({ kind: "call", call, name, argument, until }),
      timeoutMs,
    );
  }

  async adopt(settings: Settings, from: number): Promise<void> {
    const send = (call: number): boolean => this.#worker.post({ kind: "adopt", call, settings, from });
    await this.#calls.ask(send, limits.adoptTimeoutMs);
    this.#order = { ...this.#order, settings };
  }

  async close(timeoutMs: number): Promise<void> {
    if (this.#closed) return;
    try {
      await this.#ask(timeoutMs, (ask) => ({ kind: "close", call: ask }));
    } finally {
      this.#closed = true;
      await this.#worker.close();
    }
  }

  #tried(failure: Error | null): void {
    if (this.#isReady) return;
    this.#isReady = failure === null;
    this.#unopened = failure;
    for (const settle of this.#onFirst) settle(failure);
  }

  #failed(error: unknown): void {
    this.#tried(storeError(`The worker thread failed: ${sentenceOf(error)}.`));
    if (this.#isFailing) return;
    this.#isFailing = true;
    this.#options.onNotice({
      code: "METER_WORKER_FAILED",
      text: `The worker thread failed: ${sentenceOf(error)}. It is started again; events wait where they are.`,
    });
  }

  #exited(): void {
    for (const { settle } of this.#webhooks.values()) settle(storeError("The worker stopped."));
    this.#calls.failAll("The store's thread stopped; whether the call was kept is not known.");
  }

  #restarted(): void {
    this.#options.onRestart();
    for (const { message } of this.#asks.values()) this.#worker.post(message);
  }

  #receive(message: FromWorker): void {
    switch (message.kind) {
      case "ready":
        // A worker that is started again must not undo what a newer app has put into force meanwhile.
        this.#order = { ...this.#order, adoptFrom: null };
        this.#isFailing = false;
        this.#tried(null);
        return this.#worker.works();
      case "unopened":
        return this.#tried(receivedFailure(message.failure));
      case "notice":
        return this.#options.onNotice(message.notice);
      case "taken":
        return this.#options.onTaken(message.lines);
      case "webhook":
        return this.#webhooks.get(message.call)?.settle({ status: message.status, text: message.text });
      case "done":
        return this.#asks.get(message.call)?.settle(message.error === null ? null : storeError(message.error));
      case "answer":
        return this.#calls.answer(message.call, message.answer);
      case "failure":
        return this.#calls.fail(message.call, receivedFailure(message.failure));
    }
  }

  /** While someone waits for the answer the process must stay: the caller asked for it. */
  #holdIfAsked(): void {
    this.#worker.hold(this.#asks.size + this.#calls.size > 0);
  }

  #ask(timeoutMs: number, make: (ask: number) => ToWorker): Promise<void> {
    return new Promise((resolve, reject) => {
      const ask = ++this.#lastAsk;
      const settle = (error: Error | null): void => {
        clearTimeout(timer);
        this.#asks.delete(ask);
        this.#holdIfAsked();
        if (error === null) resolve();
        else reject(error);
      };
      const timer = setTimeout(() => settle(storeError(`The store did not answer within ${timeoutMs} ms.`)), timeoutMs);
      const message = make(ask);
      this.#asks.set(ask, { message, settle });
      this.#holdIfAsked();
      this.#worker.post(message);
    });
  }
}

function storeError(sentence: string): MeterbookError {
  return new MeterbookError("METER_STORE_FAILED", sentence, {
    remedy: "Nothing that is in a journal is lost; look at the notices before this.",
  });
}
