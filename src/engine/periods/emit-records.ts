import { ownMembers } from "../../core/own-member.ts";
import { sentenceOf } from "../../core/errors.ts";
import { limits } from "../limits.ts";
import type { RecordSink, RegisterEntry, SinkAnswer, Store } from "../ports.ts";
import { entriesOf, partsName, partsPrefix } from "./entries.ts";
import { recordBody, recordNames, type RecordBody, type SinkState } from "./final-records.ts";

/** What handing over needs. */
export interface EmitOptions {
  readonly store: Store;
  readonly sinks: readonly RecordSink[];
  readonly clock: { now(): number };
  /** Name of this process, which no other one has. */
  readonly holder: string;
  /** From 0 to 1, for the pause before the next try. */
  readonly random: () => number;
  /** True = what is left waits for the next round. */
  readonly isStopped?: (() => boolean) | undefined;
}

/** What a round handed over, in pairs of record and sink. */
export interface EmitSummary {
  readonly delivered: number;
  /** To be tried again. */
  readonly postponed: number;
  readonly failed: number;
}

/**
 * Hands pending records to their sinks, oldest period first. One process at a time hands records to a sink, and gives up
 * for this round where the sink takes none, so that neither other sinks nor the closing of periods wait for it. A record is taken for a minute before it is handed over, so
 * two processes do not hand over the same; one that died in between leaves it to the next after that minute. What is told
 * is told at least once, under the record's own id.
 */
export async function emitRecords(options: EmitOptions): Promise<EmitSummary> {
  const { store, sinks, clock, holder } = ownMembers(options);
  const summary = { delivered: 0, postponed: 0, failed: 0 };
  for (const sink of sinks) {
    const lease = (leaseMs: number): Promise<boolean> =>
      store.lease(partsName("sink", sink.name), holder, clock.now(), leaseMs);
    if (!(await lease(limits.emitLeaseMs))) continue;
    try {
      await emitTo(options, sink, summary, () => lease(limits.emitLeaseMs));
    } finally {
      await lease(0);
    }
  }
  return summary;
}

/** Hands one sink's pending records over, as long as it takes them and the lease holds. */
async function emitTo(
  options: EmitOptions,
  sink: RecordSink,
  summary: { -readonly [Outcome in keyof EmitSummary]: number },
  extend: () => Promise<boolean>,
): Promise<void> {
  const { store, clock, isStopped } = ownMembers(options);
  const end = clock.now() + limits.emitRoundMs;
  let [tries, failuresInRow] = [0, 0];
  for await (const entry of entriesOf(store, { kind: "final_record", namePrefix: partsPrefix("pending", sink.name) })) {
    if (isStopped?.() === true || tries >= limits.emitRecordsMax || clock.now() >= end) return;
    const outcome = await emitOne(options, sink, entry, extend);
    if (outcome === null) continue;
    summary[outcome] += 1;
    tries += 1;
    failuresInRow = outcome === "postponed" ? failuresInRow + 1 : 0;
    if (failuresInRow === limits.emitFailuresMax) return;
  }
}

/** Null when it is not its time, or another process has it. */
async function emitOne(
  { store, clock, random }: Pick<EmitOptions, "store" | "clock" | "random">,
  sink: RecordSink,
  entry: RegisterEntry,
  extend: () => Promise<boolean>,
): Promise<keyof EmitSummary | null> {
  const now = clock.now();
  const before = recordBody(entry);
  const state = before.sinks.find(({ sink: name }) => name === sink.name);
  if (state === undefined || state.state !== "pending" || isAhead(state, now)) return null;
  if (!(await extend())) return null;
  const begun: SinkState = {
    ...state,
    attempts: state.attempts + 1,
    firstAt: state.firstAt ?? now,
    nextAt: now + limits.emitLeaseMs,
  };
  const taken = await put(store, entry, withState(before, begun), now);
  if (taken === null) return null;
  const answer = await answerOf(sink, before, now);
  const end = clock.now();
  const next = stateAfter(begun, answer, end, random);
  await settle(store, taken, begun, next, end);
  return next.state === "pending" ? "postponed" : next.state;
}

// What was written under a clock that ran ahead must not wait for that clock's time.
function isAhead({ nextAt }: SinkState, now: number): boolean {
  return nextAt > now && nextAt <= now + Math.max(limits.emitLeaseMs, limits.retryAfterMaxMs);
}

async function answerOf(sink: RecordSink, { record }: RecordBody, now: number): Promise<SinkAnswer> {
  try {
    return await sink.emit({ id: record.id, text: JSON.stringify(record) }, now);
  } catch (error) {
    return { kind: "failed", reason: sentenceOf(error) };
  }
}

function stateAfter(begun: SinkState, answer: SinkAnswer, now: number, random: () => number): SinkState {
  if (answer.kind === "taken") return { ...begun, state: "delivered", deliveredAt: now, error: null };
  const error = answer.reason.slice(0, REASON_LENGTH_MAX);
  const isOver = answer.kind === "refused" || now - (begun.firstAt ?? now) >= limits.emitGiveUpMs;
  if (isOver) return { ...begun, state: "failed", error };
  const most = Math.min(limits.retryAfterMaxMs, limits.retryMinMs * 2 ** Math.min(begun.attempts, DOUBLINGS_MAX));
  return { ...begun, nextAt: now + Math.ceil(limits.retryMinMs + random() * most), error };
}

const REASON_LENGTH_MAX = 500;
const DOUBLINGS_MAX = 20;

/**
 * Writes what became of a try. Another sink's state may be written meanwhile, and this one's is put beside it; where
 * another process took the record up since, only that it was delivered counts.
 */
async function settle(
  store: Store,
  taken: RegisterEntry,
  begun: SinkState,
  next: SinkState,
  now: number,
): Promise<void> {
  let entry: RegisterEntry | null = taken;
  for (let tries = 0; entry !== null && tries < limits.amendTriesMax; tries += 1) {
    const body = recordBody(entry);
    const known = body.sinks.find(({ sink }) => sink === begun.sink);
    const isOurs = known?.state === "pending" && known.attempts === begun.attempts;
    if (!isOurs && (next.state !== "delivered" || known?.state !== "pending")) return;
    if ((await put(store, entry, withState(body, next), now)) !== null) return;
    entry = await store.getEntry("final_record", taken.id);
  }
}

async function put(store: Store, entry: RegisterEntry, body: RecordBody, now: number): Promise<RegisterEntry | null> {
  const { id, revision: seen } = entry;
  const change = { kind: "final_record", id, seen, names: recordNames(body), body, author: "sinks" } as const;
  const outcome = await store.changeEntries([change], now);
  return outcome.done ? (outcome.entries[0] ?? null) : null;
}

function withState({ record, sinks }: RecordBody, state: SinkState): RecordBody {
  return { record, sinks: sinks.map((each) => (each.sink === state.sink ? state : each)) };
}
