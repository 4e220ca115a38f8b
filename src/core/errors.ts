/**
 * Every code that meterbook prints, with what it means and the way out. ERRORS.md beside this file is the page behind
 * each help link; a test holds the two together.
 */
export const ERROR_CODES = {
  METER_CONFIG_NOT_FOUND: "No configuration file was found.",
  METER_CONFIG_UNREADABLE: "The configuration file cannot be read.",
  METER_CONFIG_INVALID: "The configuration has mistakes.",
  METER_CONFIG_DOUBTFUL: "The configuration works, but something in it is probably not meant.",
  METER_OPTION_INVALID: "An option given to meter() or createServer() is wrong.",
  METER_TRACK_INVALID: "track() or req.meter.add() was called with something that is not usable.",
  METER_AGGREGATE_CHANGED: "The aggregate of an existing meter was changed.",
  METER_METERS_CHANGED: "Another process changed the meters after these events were judged; nothing was stored.",
  METER_STORE_UNREADABLE: "The database cannot be opened.",
  METER_STORE_VERSION: "The database was made by another version of meterbook.",
  METER_STORE_BUCKETS: "The database's usage buckets are wider than the report window.",
  METER_STORE_FAILED: "The database failed while it was read or written; nothing of the operation was kept.",
  METER_STORE_BUSY: "Usage kept arriving while it was recomputed.",
  METER_SQLITE_UNSAFE: "The SQLite library or its settings can lose committed data.",
  METER_DRIVER_UNSUPPORTED: "This better-sqlite3 crashes on this Node.",
  METER_JOURNAL_UNWRITABLE: "The journal cannot be written; the app goes on, usage is not counted.",
  METER_JOURNAL_DAMAGED: "Bytes in a journal were not a whole line; they are kept in a file.",
  METER_BACKLOG_FULL: "The journal's backlog bound is reached; further events are refused and counted.",
  METER_WORKER_FAILED: "The worker thread stopped; it is started again.",
  METER_EVENT_REFUSED: "An event cannot be judged or stored; it is kept in a file.",
  METER_CLOSED: "Something arrived after close(), or was left when it ended.",
  METER_EVENT_NOT_FOUND: "No event has this id.",
  METER_UNKNOWN_METER: "No meter has this name.",
  METER_UNKNOWN_REPORT: "No report has this number or identifier.",
  METER_STRIPE_REFUSED: "Stripe refused the key or a right is missing; all sending is stopped.",
  METER_STRIPE_ACCOUNT_CHANGED:
    "The database reports to another Stripe account or mode than this key's; nothing is closed or sent.",
  METER_STRIPE_UNREACHABLE: "Stripe gave no usable answer; usage is kept and the call is made again.",
  METER_STRIPE_KEY_MISSING: "There is no Stripe key.",
  METER_STRIPE_METER_MISMATCH:
    "Stripe's meter and the configuration disagree about how reports are added up; nothing of it is sent.",
  METER_STRIPE_METER_MISSING: "Stripe has no meter that takes this usage; it is held.",
  METER_REPORT_REFUSED: "Reports were refused, or may have been counted; they are not sent again by themselves.",
  METER_REPORT_LATE: "Usage of a billing period that has ended is not at the biller, and its invoice is final soon.",
  METER_USAGE_HELD: "Usage has been held for more than 7 days.",
  METER_SUBSCRIPTIONS_UNKNOWN: "The biller does not tell which customers have a subscription.",
  METER_STRIPE_DRIFT: "Stripe's books differ from what was sent.",
  METER_STRIPE_REJECTED: "Stripe refused usage that it had taken before.",
  METER_WEBHOOK_REFUSED: "A webhook call was not Stripe's, or cannot be read.",
  METER_CORRECTION_REFUSED: "The correction cannot be made.",
  METER_CUSTOMER_UNMATCHED: "A company with usage has no customer at the biller.",
  METER_LIVE_KEY_IN_TEST_MODE: "A live Stripe key is configured while mode says test.",
  METER_VERIFY_FAILED: "The sums do not match.",
  METER_NO_IDENTITY: "No request was attributed to a company so far.",
  METER_HEADER_NEVER_SEEN: "A metered header was never seen.",
  METER_MASKED_VALUE: "maskContent or redact touches a metered field.",
  METER_MOUNTED_TWICE: "The middleware is mounted twice; each request is metered once.",
  METER_HOOK_FAILED: "A hook threw, timed out or gave something unusable; the event is held.",
  METER_CAPTURE_FAILED: "An event could not be built whole; it is kept with what is known, and held.",
  METER_CLOCK_SKEW: "This machine's clock differs from Stripe's.",
  METER_DB_ON_NETWORK_DISK: "The database is on a network file system, where locks are not reliable.",
  METER_REQUEST_INVALID: "A call of the HTTP service has a mistake.",
  METER_NOT_FOUND: "What the call names is not there.",
  METER_CONFLICT: "What the call wants contradicts what is there.",
  METER_UNAUTHORIZED: "The call has no valid key.",
  METER_FORBIDDEN: "The call's key may not do this.",
  METER_RATE_LIMITED: "The key has made too many calls, or sent too much.",
  METER_SERVER_BUSY: "The service cannot take the call now, or cannot say whether it did.",
  METER_SERVER_UNSAFE: "The service would be open to others without keys.",
  METER_COMMAND_INVALID: "The command line has a mistake.",
  METER_COMMAND_FAILED: "A command met a fault of meterbook's own.",
} as const;

export type ErrorCode = keyof typeof ERROR_CODES;

const brand = Symbol.for("meterbook.error");

/** Every failure that meterbook throws: what, where, why and what to do, in one sentence each. */
export class MeterbookError extends Error {
  readonly code: ErrorCode;
  /** What to do about it. */
  readonly remedy: string | null;
  readonly help: string;
  /** The places that are wrong, where a call or a text has several mistakes: JSON pointer and sentence. */
  readonly mistakes: readonly { readonly pointer: string; readonly message: string }[];
  readonly [brand] = true;

  constructor(
    code: ErrorCode,
    message: string,
    options: {
      cause?: unknown;
      remedy?: string;
      mistakes?: readonly { readonly pointer: string; readonly message: string }[];
    } = {},
  ) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = "MeterbookError";
    this.code = code;
    this.remedy = options.remedy ?? null;
    this.help = helpLink(code);
    this.mistakes = options.mistakes ?? [];
  }
}

/** True for errors of any copy of this package in the process. */
export function isMeterbookError(error: unknown): error is MeterbookError {
  return typeof error === "object" && error !== null && brand in error;
}

/** The message of whatever was thrown. */
export function sentenceOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** Where a code is explained. */
export function helpLink(code: ErrorCode): string {
  return `meterbook/src/core/ERRORS.md#${code.toLowerCase()}`;
}
