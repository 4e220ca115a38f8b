import type { Catalog } from "../../core/catalog.ts";
import { sentenceOf } from "../../core/errors.ts";
import { ownMembers } from "../../core/own-member.ts";
import { concernsAll } from "../ingest/store-failure.ts";
import { limits } from "../limits.ts";
import type { Clock, Store } from "../ports.ts";
import type { Attribution } from "../registry/customer.ts";
import { acceptCalls } from "./accept.ts";
import type { EventResult, IngestCall, IngestReply, UsageReport } from "./accepted.ts";
import { readCall, readUsage, SENT_BOUNDS, type SentBounds, type SentCall } from "./sent-calls.ts";

export interface CommitQueueOptions {
  readonly store: Store;
  readonly clock: Clock;
  /**
   * Does work by the meters and customers that are known, and again by the newest ones when it fails with
   * METER_METERS_CHANGED, which is thrown on when it happens limits.meterReloadsMax times in a row.
   */
  readonly counting: <Result>(work: (catalog: Catalog, attribution: Attribution) => Promise<Result>) => Promise<Result>;
  /** Runs a function soon, after what arrives now was taken in: calls that come together are committed together. */
  readonly defer: (run: () => void) => void;
  /** What one call may bring now; where left out, what limits says. */
  readonly sent?: () => SentBounds;
  /** Bounds; where left out, those of limits. */
  readonly bounds?: Partial<CommitBounds>;
}

/** What may wait, and what is committed at once. */
interface CommitBounds {
  readonly callsMax: number;
  readonly bytesMax: number;
  readonly eventsMax: number;
}

/** Gathers calls while a transaction runs, and commits them together: many callers share one wait for the disk. */
export interface CommitQueue {
  /** Answers after the commit. Rejects when the store fails: then nothing of the call is kept, and it may be sent again. */
  ingest(call: IngestCall): Promise<IngestReply>;
  /** The same for reports of the simple usage route. */
  report(reports: readonly UsageReport[]): Promise<IngestReply>;
  /** What waits now. */
  waiting(): { readonly calls: number; readonly bytes: number };
  /** Refuses further calls as busy, and waits for the commit of those that came. */
  close(): Promise<void>;
}

interface Waiting {
  readonly call: Extract<SentCall, { kind: "read" }>;
  readonly bytes: number;
  readonly answer: (reply: IngestReply) => void;
  readonly fail: (error: unknown) => void;
}

/** A queue in front of a store. Its calls keep their order. */
export function commitQueue(options: CommitQueueOptions): CommitQueue {
  const { store, clock, counting, defer, sent = () => SENT_BOUNDS, bounds = {} } = ownMembers(options);
  const { callsMax = limits.waitingCallsMax, bytesMax = limits.waitingBytesMax } = ownMembers(bounds);
  const { eventsMax = limits.batchEventsMax } = ownMembers(bounds);
  let queue: Waiting[] = [];
  let bytes = 0;
  let isRunning = false;
  let isClosed = false;
  let drained: (() => void)[] = [];

  const commit = (calls: readonly SentCall[]): Promise<readonly IngestReply[]> =>
    counting((catalog, attribution) => acceptCalls(store, catalog, attribution, calls, clock.now()));

  const run = async (): Promise<void> => {
    const batch = queue.splice(0, batchLength(queue, eventsMax));
    await answerAll(batch, commit);
    for (const each of batch) bytes -= each.bytes;
    if (queue.length > 0) return schedule();
    isRunning = false;
    for (const done of drained) done();
    drained = [];
  };
  const schedule = (): void => defer(() => void run());

  const take = (call: SentCall, size: number): Promise<IngestReply> => {
    if (call.kind === "refused") return Promise.resolve(call.reply);
    return new Promise((answer, fail) => {
      queue.push({ call, bytes: size, answer, fail });
      bytes += size;
      if (isRunning) return;
      isRunning = true;
      schedule();
    });
  };
  const isFull = (size: number): boolean =>
    isClosed || queue.length >= callsMax || (bytes > 0 && bytes + size > bytesMax);

  return {
    // A full queue refuses before it reads: a busy service must not work for what it cannot take.
    ingest: async (call) =>
      isFull(call.body.byteLength) ? busy : take(readCall(call, clock.now(), sent()), call.body.byteLength),
    report: async (reports) => {
      const size = reports.length * REPORT_BYTES;
      return isFull(size) ? busy : take(readUsage(reports, clock.now(), sent()), size);
    },
    waiting: () => ({ calls: queue.length, bytes }),
    close: () => {
      isClosed = true;
      return isRunning ? new Promise((done) => drained.push(done)) : Promise.resolve();
    },
  };
}

/** What a report of a few fields weighs against bodies. */
const REPORT_BYTES = 500;

const busy: IngestReply = {
  kind: "refused",
  why: "busy",
  message: "The service has as many calls as it can take; nothing of this one was kept. Send it again later.",
};

/** Calls from the front that go into one transaction: an atomic one alone, others up to so many events, at least one. */
function batchLength(queue: readonly Waiting[], eventsMax: number): number {
  if (queue[0]?.call.atomic === true) return 1;
  let events = 0;
  const end = queue.findIndex(({ call }, at) => {
    events += call.events.length;
    return at > 0 && (call.atomic || events > eventsMax);
  });
  return end === -1 ? queue.length : end;
}

type Commit = (calls: readonly SentCall[]) => Promise<readonly IngestReply[]>;

/** Answers each call of a batch. One that cannot be stored does not fail the others that were to be stored with it. */
async function answerAll(batch: readonly Waiting[], commit: Commit): Promise<void> {
  try {
    const replies = await commit(batch.map(({ call }) => call));
    for (const [at, { answer, fail }] of batch.entries()) {
      const reply = replies[at];
      if (reply === undefined) fail(new RangeError("a call got no reply"));
      else answer(reply);
    }
  } catch (error) {
    if (concernsAll(error)) for (const { fail } of batch) fail(error);
    else if (batch.length > 1) for (const each of batch) await answerAll([each], commit);
    else for (const each of batch) await answerAlone(each, error, commit);
  }
}

/** A call that failed by itself: event by event, unless it is all or nothing. What cannot be stored is rejected. */
async function answerAlone({ call, answer, fail }: Waiting, error: unknown, commit: Commit): Promise<void> {
  if (call.atomic) return fail(error);
  const results: EventResult[] = [];
  try {
    for (const [index, event] of call.events.entries()) {
      try {
        const [reply] = await commit([{ ...call, brief: false, events: [event] }]);
        if (reply?.kind === "results") results.push(...reply.results.map((result) => ({ ...result, index })));
      } catch (failure) {
        if (concernsAll(failure)) throw failure;
        const { source, id } = event.kind === "sent" ? event.event : event;
        const message = `the event cannot be stored: ${sentenceOf(failure)}`;
        results.push({ status: "rejected", index, source, id, problems: [{ pointer: "", message }] });
      }
    }
    answer({ kind: "results", results, kept: true });
  } catch (failure) {
    fail(failure);
  }
}
