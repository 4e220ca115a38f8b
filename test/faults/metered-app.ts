import { fork, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";

import { onTestFinished } from "vitest";

import type { CaptureStats } from "../../src/capture/stats.ts";
import { ended } from "./place.ts";

/** What an app said about its metering, on its way. */
interface AppNotice {
  readonly code: string;
  readonly text: string;
}

/** A metered app in its own process. */
export interface MeteredApp {
  readonly child: ChildProcess;
  /** Resolves with the port once it listens; rejects when the process ended before. */
  readonly port: Promise<number>;
  /** Resolves when the process is gone. */
  readonly gone: Promise<void>;
  /** Everything it told its logger so far. */
  readonly notices: readonly AppNotice[];
  /** Tokens whose line was written, as its onEvent says. */
  readonly recorded: ReadonlySet<string>;
  stats(): Promise<CaptureStats>;
  /** The error's text, or null. */
  flush(): Promise<string | null>;
  close(): Promise<string | null>;
}

type FromApp =
  | { readonly kind: "listening"; readonly port: number }
  | ({ readonly kind: "notice" } & AppNotice)
  | { readonly kind: "recorded"; readonly token: string }
  | { readonly kind: "answer"; readonly call: number; readonly stats: CaptureStats; readonly error: string | null };

type Answer = Extract<FromApp, { kind: "answer" }>;

export interface AppOptions {
  readonly folder: string;
  readonly framework?: "node" | "express";
  readonly env?: Readonly<Record<string, string>>;
}

/** Starts an app over a folder's configuration; killed at the latest when the test is over. */
export function startApp({ folder, framework = "node", env = {} }: AppOptions): MeteredApp {
  const program = join(import.meta.dirname, "programs/metered-app.js");
  const child = fork(program, [join(folder, "meterbook.yaml"), framework], {
    cwd: folder,
    env: { ...process.env, ...env },
    stdio: ["ignore", "ignore", "inherit", "ipc"],
  });
  onTestFinished(() => ended(child));
  const notices: AppNotice[] = [];
  const recorded = new Set<string>();
  const answers = new Map<number, (answer: Answer) => void>();
  const gone = once(child, "exit").then(() => undefined);
  const port = new Promise<number>((resolve, reject) => {
    child.on("message", (message: FromApp) => {
      if (message.kind === "listening") resolve(message.port);
      else if (message.kind === "notice") notices.push({ code: message.code, text: message.text });
      else if (message.kind === "recorded") recorded.add(message.token);
      else answers.get(message.call)?.(message);
    });
    void gone.then(() => reject(new Error("the app ended before it listened")));
  });
  // A test that kills an app before it listens does not wait for its port.
  port.catch(() => undefined);
  let calls = 0;
  const ask = (what: string): Promise<Answer> =>
    new Promise((resolve, reject) => {
      const call = ++calls;
      answers.set(call, resolve);
      void gone.then(() => reject(new Error("the app ended before it answered")));
      child.send({ call, ask: what });
    });
  return {
    child,
    port,
    gone,
    notices,
    recorded,
    stats: async () => (await ask("stats")).stats,
    flush: async () => (await ask("flush")).error,
    close: async () => {
      const { error } = await ask("close");
      await ended(child);
      return error;
    },
  };
}
