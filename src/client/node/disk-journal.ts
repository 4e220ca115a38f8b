import { randomBytes } from "node:crypto";
import { join } from "node:path";

import type { UsageEvent } from "../../core/event.ts";
import { openDrain, type Drain } from "../../journal/drain.ts";
import { openJournal, type Journal } from "../../journal/journal.ts";
import type { JournalProblem } from "../../journal/problem.ts";
import { QueueFullError, type MeterbookClientError } from "../client-error.ts";
import type { EventJournal } from "../event-journal.ts";
import { ownMembers } from "../own-members.ts";
import type { SentEvent } from "../sent-event.ts";
import { writeSetAside } from "./set-aside.ts";

/** Where and how safely events are kept. */
export interface DiskJournalOptions {
  /** A directory of this program's own; several processes of it may share one. It is made when it does not exist. */
  readonly directory: string;
  /** `process` (the default): an event survives the process at once, the power supply 0.1 s later. `power`: both at once. */
  readonly durability?: "process" | "power";
  /** Hears of a disk that refuses or bytes that are damaged. Where left out, Node warns. */
  readonly onProblem?: (problem: Error) => void;
}

/** A journal on disk, in the format of meterbook's own: what track() has taken survives `kill -9`, and is sent after a restart. */
export function diskJournal(options: DiskJournalOptions): EventJournal {
  const { directory, durability = "process", onProblem = warn } = ownMembers(options);
  const root = join(directory, "outgoing");
  const clock = { now: () => Date.now() };
  const tell = ({ phase, error }: JournalProblem): void => {
    if (phase !== "over") onProblem(error);
  };
  const journal = openJournal({ root, durability, clock, random: (count) => randomBytes(count), onProblem: tell });
  const drain = openDrain({ root, clock, own: journal.writer, onProblem: tell });
  return {
    append: (event) => append(journal, event, durability === "power"),
    next: (limit) => drain.next(limit).events.map(sentEventOf),
    commit: () => drain.commit(),
    rollback: () => drain.rollback(),
    setAside: (event, error) => setAside(directory, event, error, onProblem),
    close: () => close(journal, drain),
  };
}

function append(journal: Journal, event: SentEvent, isDurable: boolean): Promise<void> {
  const json = JSON.stringify({ kind: "event", event: keptEventOf(event), open: [] });
  const refused = (cause: unknown): QueueFullError =>
    new QueueFullError("the journal does not take the event", { eventId: event.id, cause });
  if (!isDurable)
    return journal.append(json) ? Promise.resolve() : Promise.reject(refused(journal.stats().problem ?? undefined));
  return new Promise((resolve, reject) => {
    journal.appendDurable(json, (error) => (error === undefined ? resolve() : reject(refused(error))));
  });
}

async function close(journal: Journal, drain: Drain): Promise<void> {
  await journal.close();
  // Now that its writer has ended, a journal that is wholly sent goes.
  if (drain.next(1).events.length === 0) drain.commit();
}

/** An event as the journal's format has it. */
function keptEventOf({ kind, source, id, type, subject, time, data }: SentEvent): UsageEvent {
  const event = { source, id, type, time: time ?? 0, company: null, user: null, subject, data };
  return kind === "event" ? event : { ...event, attributes: { [BOUNDARY]: kind } };
}

function sentEventOf(event: UsageEvent): SentEvent {
  const { source, id, type, subject = "", time, data = null, attributes = {} } = ownMembers(event);
  const { [BOUNDARY]: kind } = ownMembers(attributes);
  return {
    kind: kind === "session_start" || kind === "session_end" ? kind : "event",
    source,
    id,
    type,
    subject,
    time,
    data,
  };
}

const BOUNDARY = "boundary";

function setAside(
  directory: string,
  event: SentEvent,
  error: MeterbookClientError,
  onProblem: (problem: Error) => void,
): void {
  try {
    writeSetAside(directory, event, error);
  } catch (cause) {
    const message = `The refused event ${event.source} ${event.id} cannot be written to ${directory}`;
    onProblem(new Error(message, { cause }));
  }
}

function warn(problem: Error): void {
  process.emitWarning(`meterbook: ${problem.message}`);
}
