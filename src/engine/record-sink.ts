/** Where final records go: a file, a webhook. Each record is handed over at least once; its id tells a repetition. */
export interface RecordSink {
  /** Its name in the configuration. */
  readonly name: string;
  /** `text` is the record as JSON, always the same for one id. An expected failure is an answer. */
  emit(record: { readonly id: string; readonly text: string }, now: number): Promise<SinkAnswer>;
}

/** `refused`: trying again would give the same. */
export type SinkAnswer =
  | { readonly kind: "taken" }
  | { readonly kind: "failed"; readonly reason: string }
  | { readonly kind: "refused"; readonly reason: string };
