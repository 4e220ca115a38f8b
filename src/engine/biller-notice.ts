/** What the biller tells by itself, after its signature was checked. `id` is the notice's own: it may come again, late and in any order. */
export type BillerNotice =
  /** Not the biller's, too old, or not readable: nothing of it is believed. */
  | { readonly kind: "refused"; readonly reason: string }
  | { readonly kind: "ignored"; readonly id: string; readonly reason: string }
  | CustomerNotice
  | RejectionNotice;

/** A customer was made, changed or deleted. What it says was so when it was sent: something newer may be known already. */
export interface CustomerNotice {
  readonly kind: "customer";
  readonly id: string;
  readonly change: "created" | "updated" | "deleted";
  readonly customer: string;
  /** The company that it names, or named when it was deleted; null = none. */
  readonly company: string | null;
  /** The company that it named before this change; null = the same, or none. */
  readonly formerCompany: string | null;
}

/** Reports that the biller had taken, and refused when it came to count them. */
export interface RejectionNotice {
  readonly kind: "rejection";
  readonly id: string;
  /** The biller's meter; null = it is not known which. */
  readonly reportAs: string | null;
  /** When the biller came to count them, milliseconds UTC. */
  readonly from: number;
  readonly to: number;
  readonly errorCount: number;
  /** Some of them: there may be more errors than samples. */
  readonly samples: readonly RejectedSample[];
}

export interface RejectedSample {
  /** Identifier of the report, or the Idempotency-Key that it was sent with. */
  readonly identifier: string;
  readonly code: string;
  readonly message: string;
}
