import { MeterbookError, type ErrorCode } from "../core/errors.ts";

/**
 * What a journal tells its owner. `begun` and `over` frame a time in which events are refused (`refused` counts them);
 * `noted` is told once and needs no end.
 */
export interface JournalProblem {
  readonly phase: "begun" | "over" | "noted";
  readonly error: MeterbookError;
  readonly refused: number;
}

/** Takes problems; what it throws is swallowed, since metering never breaks the app. */
export type ProblemListener = (problem: JournalProblem) => void;

/** Tells a listener without letting it break the caller. */
export function tell(listener: ProblemListener, problem: JournalProblem): void {
  try {
    listener(problem);
  } catch {
    // The owner's listener failed; there is nobody left to tell.
  }
}

/** One kind of trouble from its first sign to its end: told once, however many events it refuses. */
export class Episode {
  error: MeterbookError | null = null;
  readonly #listener: ProblemListener;
  #refused = 0;

  constructor(listener: ProblemListener) {
    this.#listener = listener;
  }

  begin(error: MeterbookError): void {
    if (this.error !== null) return;
    this.error = error;
    this.#refused = 0;
    tell(this.#listener, { phase: "begun", error, refused: 0 });
  }

  refuse(): void {
    this.#refused++;
  }

  end(): void {
    const { error } = this;
    if (error === null) return;
    this.error = null;
    tell(this.#listener, { phase: "over", error, refused: this.#refused });
  }
}

/** An error that names the system's reason and the remedy for it. */
export function diskError(code: ErrorCode, what: string, cause: unknown, consequence: string): MeterbookError {
  const reason = cause instanceof Error ? cause.message : String(cause);
  return new MeterbookError(code, `${what}: ${reason}${consequence}`, {
    cause,
    remedy: REMEDIES[systemCode(cause)] ?? REMEDY,
  });
}

/** The system's code such as ENOSPC, or an empty text. */
export function systemCode(cause: unknown): string {
  return cause instanceof Error && "code" in cause && typeof cause.code === "string" ? cause.code : "";
}

const REMEDY = "Look at the reason given, and at the disk's own log; writing is tried again by itself.";
const REMEDIES: Readonly<Record<string, string>> = {
  ENOSPC: "Free space on this disk; writing goes on by itself.",
  EDQUOT: "Raise this user's disk quota or free space; writing goes on by itself.",
  EFBIG: "Raise the file size limit of this process (ulimit -f).",
  EROFS: "Mount the file system writable, or choose another journal directory.",
  EACCES: "Give the user of this process write access to the directory.",
  EPERM: "Give the user of this process write access to the directory.",
  EMFILE: "Raise the limit of open files of this process (ulimit -n).",
  ENFILE: "Raise the system's limit of open files.",
  ENOENT: "Something removed the journal's directory; do not clean it up by hand while the app runs.",
  ENOTDIR: "A file stands where the journal's directory should be: move it away.",
  EEXIST: "A file stands where the journal's directory should be: move it away.",
  EIO: "The disk reports errors: replace it or choose another journal directory.",
};
