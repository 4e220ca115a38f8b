/** What is kept beside events and usage for a time: names that were taken once, refused events, histories of reports, finished sessions. */
export type ForgetKind = "once" | "conflict" | "attempt" | "change" | "session";

/** The author of a session's end in the register when its event is stored: what anybody else ended stays for ever. */
export const SESSION_FINISHER = "sessions";

/** One batch of forgetting. */
export interface ForgetQuery {
  readonly kind: ForgetKind;
  /** Only what is older, milliseconds UTC: by the name's or refused event's arrival, by when the row or session was done. */
  readonly before: number;
  /** Where the last batch of this kind ended; null = at the oldest. */
  readonly after: number | null;
  /** How many are looked at. */
  readonly limit: number;
}

export interface Forgotten {
  readonly deleted: number;
  /** Where the next batch begins; null = nothing behind this one is that old. */
  readonly next: number | null;
}
