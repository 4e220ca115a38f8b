/** An answer as it goes out, and as it is kept for replay. */
export interface Answer {
  readonly status: number;
  readonly body: string;
  readonly headers: Readonly<Record<string, string>>;
}

export interface IdempotencyEntry {
  readonly path: string;
  readonly form: string;
  readonly startedAt: number;
  readonly requestId: string;
  /** Null while the first call runs. */
  answer: Answer | null;
}
