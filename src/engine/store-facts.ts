import type { OutboxState } from "./outbox-row.ts";

/** What the company → customer table knows. */
export interface CustomerMapping {
  readonly company: string;
  readonly state: "mapped" | "missing" | "ambiguous" | "deleted";
  readonly customers: readonly string[];
  readonly checkedAt: number;
  /** How often in a row the biller was asked and knew none; 0 for one that is mapped. */
  readonly misses: number;
}

export interface StoreCounts {
  readonly events: number;
  /** Events with at least one open hold. */
  readonly heldEvents: number;
  readonly duplicates: number;
  /** Refused events with the identity of another one, as far as they are kept (forget). */
  readonly conflicts: number;
  readonly outbox: Readonly<Record<OutboxState, number>>;
  readonly lastEventAt: number | null;
}
