import { fork, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { expect } from "vitest";

/** One event that a test is about to send. */
export interface Attempt {
  /**
   * What tells this event from all others. It must come back in the store: as `metadata.token` (middleware), `data.token` or
   * `data.metadata.token` (sent over HTTP), else as the event's own id (`track`).
   */
  readonly token: string;
  readonly company: string;
  /**
   * Its quantity as a decimal text or whole number; it must come back as the response header X-Tokens-Used, as
   * `metadata.tokens` or as `data.total_usage`.
   */
  readonly tokens: string | number;
}

/** Where the oracle looks. */
export interface OracleQuestion {
  /** Folder of `meterbook.yaml` and of the database. */
  readonly directory: string;
  /** File name of the database in the folder; meter.db unless told. */
  readonly database?: string;
  /** The local Stripe whose ledger is compared; absent = the ledger is not looked at. Its customers are `cus_<company>`. */
  readonly stripeUrl?: string;
  /** False while windows are open or reports under way: then the ledger may be below the floor, never above. True unless told. */
  readonly settled?: boolean;
  /** The meter whose sums are compared; chat_tokens unless told. It must count every event. */
  readonly meter?: string;
  /** Added to the environment of the commands that the oracle runs. */
  readonly env?: Readonly<Record<string, string>>;
}

/** What the oracle found for one company. */
interface CompanyVerdict {
  readonly acknowledged: number;
  readonly stored: number;
  /** Tokens that were acknowledged and are not stored. */
  readonly lost: readonly string[];
  /** Tokens that are stored more than once. */
  readonly doubled: readonly string[];
  /** Tokens that are stored and were never attempted, or with another company or quantity. */
  readonly invented: readonly string[];
}

/** The whole verdict: sums over all companies, and each of them. */
export interface OracleVerdict extends CompanyVerdict {
  readonly companies: Readonly<Record<string, CompanyVerdict>>;
  /** Events that were to be stored together or not at all, where some are stored and some are not. */
  readonly torn: readonly string[];
  /** A company whose naive sum is not what `meterbook usage` says, as a sentence. */
  readonly wrongTotals: readonly string[];
  /** A company whose ledger at Stripe does not follow the floor rule over what is stored, as a sentence. */
  readonly wrongLedger: readonly string[];
  /** Whether `meterbook verify` found all sums right. */
  readonly verifyOk: boolean;
}

/** A witness in a process of its own: it knows only what it was told before and after each answer, and the raw database. */
export interface Oracle {
  /** Say it before the event is sent. */
  attempted(attempt: Attempt): void;
  /** Say it once the answer arrived whole, or the call said yes. */
  acknowledged(token: string): void;
  /** Say it before events are sent that are to be stored together or not at all. */
  whole(tokens: readonly string[]): void;
  /** Forgets all it was told: from now on another database is meant. */
  begin(): void;
  /** Takes the journals in by the command line, then compares. Rejects when a command fails. */
  check(question: OracleQuestion): Promise<OracleVerdict>;
  close(): Promise<void>;
}

type OracleAnswer =
  | { readonly call: number; readonly verdict: OracleVerdict }
  | { readonly call: number; readonly error: string };

/** Starts the witness; its log is an append-only file in a temporary folder, gone after close(). */
export async function startOracle(): Promise<Oracle> {
  const folder = mkdtempSync(join(tmpdir(), "meterbook-oracle-"));
  const child = fork(join(import.meta.dirname, "oracle-program.js"), [join(folder, "told.log")], {
    stdio: ["ignore", "inherit", "inherit", "ipc"],
  });
  await once(child, "message");
  const answers = new Map<number, (answer: OracleAnswer) => void>();
  child.on("message", (answer: OracleAnswer) => answers.get(answer.call)?.(answer));
  child.on("exit", () => {
    for (const [call, answer] of answers) answer({ call, error: "the oracle's process ended" });
  });
  let calls = 0;
  return {
    attempted: (attempt) => void child.send({ kind: "attempted", ...attempt, tokens: String(attempt.tokens) }),
    acknowledged: (token) => void child.send({ kind: "acknowledged", token }),
    whole: (tokens) => void child.send({ kind: "whole", tokens }),
    begin: () => void child.send({ kind: "begin" }),
    check: (question) =>
      new Promise((resolve, reject) => {
        const call = ++calls;
        answers.set(call, (answer) => {
          answers.delete(call);
          if ("verdict" in answer) resolve(answer.verdict);
          else reject(new Error(answer.error));
        });
        child.send({ kind: "check", call, question });
      }),
    close: () => closed(child, folder),
  };
}

/** Demands that nothing was lost, doubled, invented or summed wrongly, for every company. */
export function expectWhole(verdict: OracleVerdict): void {
  const { wrongTotals, wrongLedger, verifyOk } = verdict;
  const [lost, doubled, invented, torn] = [verdict.lost, verdict.doubled, verdict.invented, verdict.torn].map(
    shortened,
  );
  expect({ lost, doubled, invented, torn, wrongTotals, wrongLedger, verifyOk }).toEqual({
    lost: [],
    doubled: [],
    invented: [],
    torn: [],
    wrongTotals: [],
    wrongLedger: [],
    verifyOk: true,
  });
}

/** A failure shows some of the tokens; the others are alike. */
function shortened(tokens: readonly string[]): readonly string[] {
  return tokens.length <= TOKENS_SHOWN ? tokens : [...tokens.slice(0, TOKENS_SHOWN), `… ${tokens.length} in all`];
}

const TOKENS_SHOWN = 12;

/** The counts of a verdict in the words of the figures. */
export function figuresOf(verdict: OracleVerdict): {
  readonly acknowledged: number;
  readonly lost: number;
  readonly doubled: number;
  readonly invented: number;
} {
  const { acknowledged, lost, doubled, invented } = verdict;
  return { acknowledged, lost: lost.length, doubled: doubled.length, invented: invented.length };
}

async function closed(child: ChildProcess, folder: string): Promise<void> {
  if (child.exitCode === null && child.signalCode === null) {
    const gone = once(child, "exit");
    child.kill();
    await gone;
  }
  rmSync(folder, { recursive: true, force: true });
}
