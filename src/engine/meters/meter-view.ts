import type { AggregateKind } from "../../core/aggregation.ts";
import type { MeterOrigin } from "../../core/meter.ts";
import type { Filter } from "../../core/filter.ts";
import type { Json } from "../../core/event.ts";

/** A meter as the API shows it: what counts, and what was written beside it. */
export interface MeterView {
  readonly id: string;
  readonly key: string;
  readonly name: string;
  readonly description: string | null;
  readonly unit: string | null;
  readonly eventType: string | null;
  readonly match: readonly Filter[];
  readonly aggregate: AggregateKind;
  /** Native field path, `data.tokens`; null for `count`. */
  readonly value: string | null;
  readonly groupBy: Readonly<Record<string, string>>;
  /** Event time before which it counts nothing, milliseconds UTC; null = from the beginning. */
  readonly eventFrom: number | null;
  readonly report: boolean;
  readonly metadata: Readonly<Record<string, Json>>;
  /** Meters of the file are changed there, and those of a guide with their guide. */
  readonly origin: "file" | MeterOrigin;
  readonly version: number;
  readonly createdAt: number;
  readonly updatedAt: number;
  readonly deletedAt: number | null;
}

/** What a caller says of a new meter. */
export interface MeterDraft {
  readonly key: string;
  readonly name?: string;
  readonly description?: string | null;
  readonly unit?: string | null;
  readonly eventType: string;
  readonly match?: readonly Filter[];
  readonly aggregate: AggregateKind;
  readonly value?: string | null;
  readonly groupBy?: Readonly<Record<string, string>>;
  readonly eventFrom?: number | null;
  readonly report?: boolean;
  /** What becomes of events without a number at the path; OpenMeter's rule is `skip`. */
  readonly missingValue?: "hold" | "skip" | "zero";
  readonly allowNegative?: boolean;
  readonly metadata?: Readonly<Record<string, Json>>;
}

/** What may be changed of a meter. */
export interface MeterPatch {
  readonly name?: string;
  readonly description?: string | null;
  readonly metadata?: Readonly<Record<string, Json>>;
  readonly groupBy?: Readonly<Record<string, string>>;
}

/** What a new or changed meter does to the past: how much it counts, and whether reported money moves. */
export interface MeterEffect {
  /** Stored events that it counts. */
  readonly events: number;
  /** Of these, windows of usage that are closed or reported already. */
  readonly reportedWindows: number;
  readonly from: number | null;
  readonly to: number | null;
}

/** A pre-made meter. */
export interface MeterTemplate {
  readonly key: string;
  readonly title: string;
  readonly description: string;
  /** Set of templates it belongs to: `ai`, `api`, `compute`, `documents` … */
  readonly category: string;
  readonly draft: MeterDraft;
}
