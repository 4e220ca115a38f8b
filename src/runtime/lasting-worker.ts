import { Worker } from "node:worker_threads";

import { limits } from "../engine/limits.ts";

export interface LastingWorkerOptions<From> {
  /** File beside this one, without its ending. */
  readonly file: "worker" | "reader";
  /** What the thread is started with, asked anew for each. */
  readonly order: () => unknown;
  readonly onMessage: (message: From) => void;
  readonly onFailed: (error: unknown) => void;
  /** It stands no more, and what it was asked is not answered. */
  readonly onExit: () => void;
  /** Another one took the place of one that died. */
  readonly onRestart: () => void;
}

/** A thread that is started again, ever more patiently, when it dies. It never keeps the process alive by itself. */
export class LastingWorker<To, From> {
  readonly #options: LastingWorkerOptions<From>;
  #worker: Worker | null = null;
  #isClosed = false;
  #isHeld = false;
  #restartMs: number = limits.workerRestartMs;
  #restarts = 0;

  constructor(options: LastingWorkerOptions<From>) {
    this.#options = options;
    this.#launch();
  }

  /** False while no thread stands. */
  get isUp(): boolean {
    return this.#worker !== null;
  }

  /** How often another thread took the place of one that died. */
  get restarts(): number {
    return this.#restarts;
  }

  /** False, and nothing sent, while no thread stands. */
  post(message: To, transfer: readonly ArrayBuffer[] = []): boolean {
    this.#worker?.postMessage(message, [...transfer]);
    return this.#worker !== null;
  }

  /** While someone waits for an answer the process must stay. */
  hold(isHeld: boolean): void {
    this.#isHeld = isHeld;
    if (isHeld) this.#worker?.ref();
    else this.#worker?.unref();
  }

  /** It works: the next one that dies is replaced at once. */
  works(): void {
    this.#restartMs = limits.workerRestartMs;
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    await this.#worker?.terminate();
  }

  #launch(): void {
    try {
      const worker = new Worker(threadFile(this.#options.file), {
        workerData: this.#options.order(),
        ...threadArguments(),
      });
      this.#worker = worker;
      worker.on("message", this.#options.onMessage);
      worker.on("error", this.#options.onFailed);
      worker.on("exit", () => this.#exited(worker));
      // After the listeners: adding one to the port makes it keep the process again.
      worker.unref();
      if (this.#isHeld) worker.ref();
    } catch (error) {
      this.#options.onFailed(error);
      this.#restart();
    }
  }

  #exited(worker: Worker): void {
    if (worker === this.#worker) this.#worker = null;
    this.#options.onExit();
    if (!this.#isClosed) this.#restart();
  }

  #restart(): void {
    const again = setTimeout(() => {
      if (this.#isClosed) return;
      this.#restarts += 1;
      this.#launch();
      this.#options.onRestart();
    }, this.#restartMs);
    again.unref();
    this.#restartMs = Math.min(this.#restartMs * 2, limits.storeRetryMaxMs);
  }
}

/**
 * A worker takes over the process's options by itself. Handing them on would make Node refuse V8's own
 * (`--max-old-space-size`); only an entry given as text (`--input-type`) has one that a file cannot have.
 */
function threadArguments(): { execArgv?: string[] } {
  return process.execArgv.some((argument) => argument.startsWith("--input-type")) ? { execArgv: [] } : {};
}

/** Threads cannot run TypeScript on Node 20: from the sources (in tests) the built file is started. */
function threadFile(name: string): URL {
  const here = new URL(import.meta.url);
  return here.pathname.endsWith(".ts") ? new URL(`../../dist/runtime/${name}.js`, here) : new URL(`./${name}.js`, here);
}
