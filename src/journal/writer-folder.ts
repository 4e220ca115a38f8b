import {
  closeSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readFileSync,
  readlinkSync,
  renameSync,
  statSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { hostname } from "node:os";
import { dirname, join } from "node:path";

/** Who writes a journal folder, as its `writer.json` says. Unknown facts are null. */
export interface WriterRecord {
  readonly pid: number;
  readonly host: string;
  readonly bootId: string | null;
  /** The pid namespace: a pid means nothing in another one. */
  readonly pidSpace: string | null;
  /** Kernel start time of the pid, in ticks: tells a pid that was used again from the writer. */
  readonly startTicks: string | null;
  /** Milliseconds since 1970 UTC. */
  readonly startedAt: number;
  readonly version: string | null;
  /** Set when the writer closed its journal in order; milliseconds since 1970 UTC. */
  readonly closedAt: number | null;
}

/** `silent`: no sign of life for writerSilenceMs from where nobody can look. `gone`: surely dead. */
export type Life = "living" | "closed" | "gone" | "silent";

const RECORD_NAME = "writer.json";
const WRITER_NAME = /^[0-9a-z]{14,15}$/;

/** A writer's name: sorts by its start, and is unique by 31 bits of randomness. */
export function writerName(startedAt: number, random: (bytes: number) => Uint8Array): string {
  const tail = Array.from(random(6), (byte) => (byte % 36).toString(36)).join("");
  return startedAt.toString(36).padStart(8, "0") + tail;
}

/** True for the folder names that `writerName` makes. */
export function isWriterName(name: string): boolean {
  return WRITER_NAME.test(name);
}

/** What this process would write about itself. */
export function thisWriter(startedAt: number, version: string | null): WriterRecord {
  const pid = process.pid;
  return {
    pid,
    ...thisMachine(),
    startTicks: kernelFacts(pid)?.startTicks ?? null,
    startedAt,
    version,
    closedAt: null,
  };
}

/** Makes the folder (mode 0700) and its record; throws what the file system throws. */
export function makeWriterFolder(folder: string, record: WriterRecord): void {
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  // A folder's own name is safe only when the folder above is synced: without it the lines in it cannot be found.
  for (const above of [dirname(folder), dirname(dirname(folder))]) syncNames(above);
  putWriterRecord(folder, record);
}

/** Brings a folder's names to the disk; throws what the file system throws. */
export function syncNames(folder: string): void {
  let fd: number;
  try {
    fd = openSync(folder, "r");
  } catch {
    // Some systems do not let a directory be opened; there is nothing to sync then.
    return;
  }
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}

/** Replaces the record in one step, so that no reader sees half of it. */
export function putWriterRecord(folder: string, record: WriterRecord): void {
  const path = join(folder, RECORD_NAME);
  writeFileSync(`${path}.new`, `${JSON.stringify(record)}\n`, { mode: 0o600 });
  renameSync(`${path}.new`, path);
  touchWriterRecord(folder, record.closedAt ?? record.startedAt);
}

/** The heartbeat: sets the record's time stamp. Throws when the record is not there. */
export function touchWriterRecord(folder: string, now: number): void {
  utimesSync(join(folder, RECORD_NAME), now / 1000, now / 1000);
}

/** Looks whether the writer of a folder can still write. `now` in milliseconds since 1970 UTC. */
export function lifeOf(folder: string, now: number, silenceMs: number): Life {
  const { record, heartbeatAt } = readRecord(folder);
  if (record !== null && record.closedAt !== null) return "closed";
  const seen = record === null ? "unknown" : probe(record);
  if (seen !== "unknown") return seen;
  // A future stamp is another machine's clock, not a sign of death.
  return now - heartbeatAt < silenceMs ? "living" : "silent";
}

function readRecord(folder: string): { record: WriterRecord | null; heartbeatAt: number } {
  const path = join(folder, RECORD_NAME);
  try {
    const heartbeatAt = statSync(path).mtimeMs;
    return { record: asRecord(JSON.parse(readFileSync(path, "utf8"))), heartbeatAt };
  } catch {
    // No record, or not a readable one: the folder's own age decides.
    return { record: null, heartbeatAt: statSync(folder, { throwIfNoEntry: false })?.mtimeMs ?? 0 };
  }
}

function asRecord(value: unknown): WriterRecord | null {
  if (!isRecord(value)) return null;
  const { pid, host, bootId, pidSpace, startTicks, startedAt, version, closedAt } = value;
  if (typeof pid !== "number" || typeof host !== "string") return null;
  return {
    pid,
    host,
    bootId: textOrNull(bootId),
    pidSpace: textOrNull(pidSpace),
    startTicks: textOrNull(startTicks),
    startedAt: typeof startedAt === "number" ? startedAt : 0,
    version: textOrNull(version),
    closedAt: typeof closedAt === "number" ? closedAt : null,
  };
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null;
}

function textOrNull(value: unknown): string | null {
  return typeof value === "string" ? value : null;
}

/** Asks the kernel about a pid; only where the record's kernel and pid namespace are ours. */
function probe(record: WriterRecord): Life | "unknown" {
  const here = thisMachine();
  const near = record.host === here.host && record.bootId === here.bootId && record.pidSpace === here.pidSpace;
  if (!near || !Number.isSafeInteger(record.pid) || record.pid <= 0) return "unknown";
  const kernel = kernelFacts(record.pid);
  if (kernel === null) return pidExists(record.pid) ? "unknown" : "gone";
  if (kernel.ended) return "gone";
  if (record.startTicks === null) return "unknown";
  return kernel.startTicks === record.startTicks ? "living" : "gone";
}

function pidExists(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return !(error instanceof Error && "code" in error && error.code === "ESRCH");
  }
}

let machine: Pick<WriterRecord, "host" | "bootId" | "pidSpace"> | null = null;

function thisMachine(): Pick<WriterRecord, "host" | "bootId" | "pidSpace"> {
  machine ??= {
    host: hostname(),
    bootId: orNull(() => readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim()),
    pidSpace: orNull(() => readlinkSync("/proc/self/ns/pid")),
  };
  return machine;
}

/** State and start of a pid from /proc; null where there is no such file. */
function kernelFacts(pid: number): { readonly ended: boolean; readonly startTicks: string | null } | null {
  const stat = orNull(() => readFileSync(`/proc/${pid}/stat`, "latin1"));
  if (stat === null) return null;
  // The command name may hold blanks and brackets; fields are counted from its last bracket.
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return { ended: fields[0] === "Z" || fields[0] === "X", startTicks: fields[19] ?? null };
}

function orNull<T>(read: () => T): T | null {
  try {
    return read();
  } catch {
    return null;
  }
}
