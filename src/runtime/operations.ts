import { owns } from "../core/own-member.ts";
import { limits } from "../engine/limits.ts";
import type { Backend } from "../server/backend.ts";
import { periodReadings, periodWritings } from "./period-operations.ts";
import type { ReaderHost, WriterHost } from "./host.ts";
import { readFigures } from "./figures.ts";

/** A call of the Backend; `settings` is no call. */
type OperationName = Exclude<keyof Backend, "settings">;
type Argument<Name extends OperationName> = Parameters<Backend[Name]>[0];
type Answer<Name extends OperationName> = Awaited<ReturnType<Backend[Name]>>;

/** One call: the thread that it runs on, and the engine's function behind it. */
interface Reading<Name extends OperationName> {
  readonly thread: "reader";
  readonly timeoutMs: number;
  readonly run: (host: ReaderHost, argument: Argument<Name>) => Promise<Answer<Name>>;
}

interface Writing<Name extends OperationName> {
  readonly thread: "writer";
  readonly timeoutMs: number;
  readonly run: (host: WriterHost, argument: Argument<Name>) => Promise<Answer<Name>>;
}

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
const OPERATIONS: { readonly [Name in OperationName]?: Reading<Name> | Writing<Name> } = {
  // --- operating it ---
  figures: writes<"figures">((host) => readFigures(host)),
  exportEvents: reads<"exportEvents">(async ({ store }, { limit, ...query }) => {
    const events = await store.events({ order: "oldest", limit, ...query });
    return { events, next: events.length < limit ? null : (events.at(-1)?.seq ?? null) };
  }),

  // --- meter types, customers' meters, records ---
  listMeterTypes: reads<"listMeterTypes">(periodReadings.listMeterTypes),
  getMeterType: reads<"getMeterType">(periodReadings.getMeterType),
  listBuckets: reads<"listBuckets">(periodReadings.listBuckets),
  getBucket: reads<"getBucket">(periodReadings.getBucket),
  listFinalRecords: reads<"listFinalRecords">(periodReadings.listFinalRecords),
  listSuspended: reads<"listSuspended">(periodReadings.listSuspended),
  countSuspended: reads<"countSuspended">(periodReadings.countSuspended),
  createMeterType: writes<"createMeterType">(periodWritings.createMeterType),
  updateMeterType: writes<"updateMeterType">(periodWritings.updateMeterType),
  deleteMeterType: writes<"deleteMeterType">(periodWritings.deleteMeterType),
  createBucket: writes<"createBucket">(periodWritings.createBucket),
  updateBucket: writes<"updateBucket">(periodWritings.updateBucket),
  deleteBucket: writes<"deleteBucket">(periodWritings.deleteBucket),
  purgeBuckets: writes<"purgeBuckets">(periodWritings.purgeBuckets),
  takeRecords: writes<"takeRecords">(periodWritings.takeRecords),
  replayRecord: writes<"replayRecord">(periodWritings.replayRecord),
};

/** The names of all calls. */
export function operationNames(): readonly string[] {
  return Object.keys(OPERATIONS);
}

/** The call of this name; what crosses threads is what the table's types say, since both sides are one release. */
export function operationNamed(name: string): AnyOperation {
  const all: Readonly<Record<string, AnyOperation | undefined>> = OPERATIONS;
  const operation = owns(OPERATIONS, name) ? all[name] : undefined;
  if (operation === undefined) throw new Error(`there is no operation ${name}`);
  return operation;
}

/** Runs one call where everything is possible. */
export function runOperation(host: WriterHost, name: string, argument: unknown): Promise<unknown> {
  return operationNamed(name).run(host, argument);
}

/** The same where only reading is possible. */
export function runReading(host: ReaderHost, name: string, argument: unknown): Promise<unknown> {
  const operation = operationNamed(name);
  if (operation.thread === "writer") throw new Error(`${name} is not for the thread that reads`);
  return operation.run(host, argument);
}
