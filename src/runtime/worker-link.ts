import { Worker } from "node:worker_threads";

import { MeterbookError, sentenceOf } from "../core/errors.ts";
import { limits } from "../engine/limits.ts";
import type { FromWorker, ToWorker, WebhookCall, WebhookReply, WorkerOrder } from "./messages.ts";
import type { Notice } from "./notice.ts";

/** The app's end of the worker thread: starts it, restarts it, asks it to flush. Never keeps the process alive. */
export interface WorkerLink {
  /** Resolves when everything written so far is in the store; rejects when the store refused or the time was up. */
  flush(timeoutMs: number): Promise<void>;
  sendLines(lines: readonly string[]): void;
  /** Has the worker take a webhook call. Rejects when it died or did not answer in time: Stripe makes the call again. */
  takeWebhook(call: WebhookCall): Promise<WebhookReply>;
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

interface Call {
  readonly kind: "flush" | "close";
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
  readonly #calls = new Map<number, Call>();
  readonly #webhooks = new Map<number, WebhookWaiting>();
  #lastCall = 0;
  #closed = false;
  /** Told already; a worker that cannot start would say so every second. */
  #isFailing = false;
  #restartMs: number = limits.workerRestartMs;
  #worker: Worker | null = null;
  #order: WorkerOrder;

  constructor(options: WorkerLinkOptions) {
    this.#options = options;
    this.#order = options.order;
    this.#launch();
  }

  flush(timeoutMs: number): Promise<void> {
    return this.#closed ? Promise.resolve() : this.#ask("flush", timeoutMs);
  }

  sendLines(lines: readonly string[]): void {
    this.#worker?.postMessage({ kind: "lines", lines } satisfies ToWorker);
  }

  takeWebhook({ body, signature }: WebhookCall): Promise<WebhookReply> {
    const worker = this.#closed ? null : this.#worker;
    if (worker === null) return Promise.reject(storeError("The worker is not ready."));
    return new Promise((resolve, reject) => {
      const call = ++this.#lastCall;
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
      worker.postMessage({ kind: "webhook", call, body, signature } satisfies ToWorker);
    });
  }

  async close(timeoutMs: number): Promise<void> {
    if (this.#closed) return;
    try {
      await this.#ask("close", timeoutMs);
    } finally {
      this.#closed = true;
      await this.#worker?.terminate();
    }
  }

  #launch(): void {
    try {
      const worker = new Worker(workerFile(), { workerData: this.#order, ...workerArguments() });
      this.#worker = worker;
      worker.on("message", (message: FromWorker) => this.#receive(message));
      worker.on("error", (error) => this.#failed(error));
      worker.on("exit", () => this.#exited(worker));
      // After the listeners: adding one to the port makes it keep the process again.
      worker.unref();
      if (this.#calls.size > 0) worker.ref();
    } catch (error) {
      this.#failed(error);
      this.#restart();
    }
  }

  #failed(error: unknown): void {
    if (this.#isFailing) return;
    this.#isFailing = true;
    this.#options.onNotice({
      code: "METER_WORKER_FAILED",
      text: `The worker thread failed: ${sentenceOf(error)}. It is started again; events wait where they are.`,
    });
  }

  #exited(worker: Worker): void {
    for (const { settle } of this.#webhooks.values()) settle(storeError("The worker stopped."));
    if (this.#closed || worker !== this.#worker) return;
    this.#worker = null;
    this.#restart();
  }

  #restart(): void {
    const again = setTimeout(() => {
      if (this.#closed) return;
      this.#launch();
      this.#options.onRestart();
      for (const [call, { kind }] of this.#calls) this.#worker?.postMessage({ kind, call } satisfies ToWorker);
    }, this.#restartMs);
    again.unref();
    this.#restartMs = Math.min(this.#restartMs * 2, limits.storeRetryMaxMs);
  }

  #receive(message: FromWorker): void {
    switch (message.kind) {
      case "ready":
        // A worker that is started again must not undo what a newer app has put into force meanwhile.
        this.#order = { ...this.#order, adoptFrom: null };
        this.#isFailing = false;
        this.#restartMs = limits.workerRestartMs;
        return;
      case "notice":
        return this.#options.onNotice(message.notice);
      case "taken":
        return this.#options.onTaken(message.lines);
      case "webhook":
        return this.#webhooks.get(message.call)?.settle({ status: message.status, text: message.text });
      case "done":
        return this.#calls.get(message.call)?.settle(message.error === null ? null : storeError(message.error));
    }
  }

  #ask(kind: Call["kind"], timeoutMs: number): Promise<void> {
    return new Promise((resolve, reject) => {
      const call = ++this.#lastCall;
      const settle = (error: Error | null): void => {
        clearTimeout(timer);
        this.#calls.delete(call);
        if (this.#calls.size === 0) this.#worker?.unref();
        if (error === null) resolve();
        else reject(error);
      };
      const timer = setTimeout(() => settle(storeError(`The store did not answer within ${timeoutMs} ms.`)), timeoutMs);
      this.#calls.set(call, { kind, settle });
      // While someone waits for the answer the process must stay: the caller asked for it.
      this.#worker?.ref();
      this.#worker?.postMessage({ kind, call } satisfies ToWorker);
    });
  }
}

function storeError(sentence: string): MeterbookError {
  return new MeterbookError("METER_STORE_FAILED", sentence, {
    remedy: "Nothing that is in a journal is lost; look at the notices before this.",
  });
}

/**
 * A worker takes over the process's options by itself. Handing them on would make Node refuse V8's own
 * (`--max-old-space-size`); only an entry given as text (`--input-type`) has one that a file cannot have.
 */
function workerArguments(): { execArgv?: string[] } {
  return process.execArgv.some((argument) => argument.startsWith("--input-type")) ? { execArgv: [] } : {};
}

/** Threads cannot run TypeScript on Node 20: from the sources (in tests) the built file is started. */
function workerFile(): URL {
  const here = new URL(import.meta.url);
  return here.pathname.endsWith(".ts") ? new URL("../../dist/runtime/worker.js", here) : new URL("./worker.js", here);
}
