import { limits } from "../engine/limits.ts";

/** The bounds of engine/limits that rule a journal; a test may tighten them. */
export type JournalBounds = {
  readonly [
    Name in
      | "segmentBytesMax"
      | "backlogBytesMax"
      | "lineBytesMax"
      | "journalSyncMs"
      | "journalRetryMs"
      | "writerSilenceMs"
      | "writerHeartbeatMs"
      | "openEventsMax"
  ]: number;
};

/** The bounds in force: those of engine/limits, but for what is given. */
export function journalBounds(tightened: Partial<JournalBounds> = {}): JournalBounds {
  return { ...limits, ...tightened };
}
