import { limits } from "../engine/limits.ts";
import type { Backend } from "../server/backend.ts";
import type { ReaderHost, WriterHost } from "./host.ts";

/** A call of the Backend; `settings` is no call. */
export type OperationName = Exclude<keyof Backend, "settings">;
type Argument<Name extends OperationName> = Parameters<Backend[Name]>[0];
type Answer<Name extends OperationName> = Awaited<ReturnType<Backend[Name]>>;

/** One call that only reads: the engine's function behind it, for the thread that answers questions. */
export interface Reading<Name extends OperationName> {
  readonly thread: "reader";
  readonly timeoutMs: number;
  readonly run: (host: ReaderHost, argument: Argument<Name>) => Promise<Answer<Name>>;
}

/** One call that changes something, or asks what only the thread that writes knows. */
export interface Writing<Name extends OperationName> {
  readonly thread: "writer";
  readonly timeoutMs: number;
  readonly run: (host: WriterHost, argument: Argument<Name>) => Promise<Answer<Name>>;
}

/** All calls, each with its types. */
export type Operations = { readonly [Name in OperationName]: Reading<Name> | Writing<Name> };

/** One of the calls, whichever. Written as methods: what fits is for the table to say. */
export type AnyOperation =
  | {
      readonly thread: "reader";
      readonly timeoutMs: number;
      run(host: ReaderHost, argument: unknown): Promise<unknown>;
    }
  | {
      readonly thread: "writer";
      readonly timeoutMs: number;
      run(host: WriterHost, argument: unknown): Promise<unknown>;
    };

/** Answered from the database as it is, beside the thread that writes. */
export function reads<Name extends OperationName>(
  run: Reading<Name>["run"],
  timeoutMs: number = limits.serverCallTimeoutMs,
): Reading<Name> {
  return { thread: "reader", timeoutMs, run };
}

/** Done by the thread that writes. */
export function writes<Name extends OperationName>(
  run: Writing<Name>["run"],
  timeoutMs: number = limits.serverCallTimeoutMs,
): Writing<Name> {
  return { thread: "writer", timeoutMs, run };
}
