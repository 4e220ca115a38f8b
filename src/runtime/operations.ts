import { owns } from "../core/own-member.ts";
import { limits } from "../engine/limits.ts";
import type { Backend } from "../server/backend.ts";
import type { ReaderHost, WriterHost } from "./host.ts";
import { readFigures } from "./figures.ts";

/** A call of the Backend; `settings` is no call. */
export type OperationName = Exclude<keyof Backend, "settings">;
type Argument<Name extends OperationName> = Parameters<Backend[Name]>[0];
type Answer<Name extends OperationName> = Awaited<ReturnType<Backend[Name]>>;

/** One call: the thread that it runs on, and the engine's function behind it. */
export type Operation<Name extends OperationName> =
  | {
      readonly thread: "reader";
      readonly timeoutMs: number;
      readonly run: (host: ReaderHost, argument: Argument<Name>) => Promise<Answer<Name>>;
    }
  | {
      readonly thread: "writer";
      readonly timeoutMs: number;
      readonly run: (host: WriterHost, argument: Argument<Name>) => Promise<Answer<Name>>;
    };

type Reading<Name extends OperationName> = Extract<Operation<Name>, { readonly thread: "reader" }>;
type Writing<Name extends OperationName> = Extract<Operation<Name>, { readonly thread: "writer" }>;

/** Answered from the database as it is, beside the thread that writes. */
function reads<Name extends OperationName>(run: Reading<Name>["run"]): Reading<Name> {
  return { thread: "reader", timeoutMs: limits.serverCallTimeoutMs, run };
}

/** Changes something, or asks what only the writing thread knows. */
function writes<Name extends OperationName>(
  run: Writing<Name>["run"],
  timeoutMs: number = limits.serverCallTimeoutMs,
): Writing<Name> {
  return { thread: "writer", timeoutMs, run };
}

/** Every call of the Backend, each with the function of the engine that answers it. */
export const OPERATIONS: { readonly [Name in OperationName]?: Operation<Name> } = {
  // --- operating it ---
  figures: writes<"figures">((host) => readFigures(host)),
  exportEvents: reads<"exportEvents">(async ({ store }, { limit, ...query }) => {
    const events = await store.events({ order: "oldest", limit, ...query });
    return { events, next: events.length < limit ? null : (events.at(-1)?.seq ?? null) };
  }),
};

/** Runs one call on this thread. What crosses threads is what the other side's types say: both are one release. */
export function runOperation(host: WriterHost, name: string, argument: unknown): Promise<unknown> {
  return found(name).run(host, argument as never);
}

/** The same where only reading is possible. */
export function runReading(host: ReaderHost, name: string, argument: unknown): Promise<unknown> {
  const operation = found(name);
  if (operation.thread === "writer") throw new Error(`${name} is not for the thread that reads`);
  return operation.run(host, argument as never);
}

function found(name: string): Operation<OperationName> {
  const operation = owns(OPERATIONS, name) ? OPERATIONS[name as OperationName] : undefined;
  if (operation === undefined) throw new Error(`there is no operation ${name}`);
  return operation as Operation<OperationName>;
}
