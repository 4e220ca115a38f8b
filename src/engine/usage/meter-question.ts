import type { ZonedWindow } from "../../core/zoned-window.ts";

/** How a query cuts time: a unit of the asked zone, or null for one row over all. */
export type QueryWindow = ZonedWindow | null;

/** One condition on a label's text. All that are given must hold. Numbers compare as numbers where both sides are. */
export interface LabelFilter {
  readonly eq?: string;
  readonly ne?: string;
  readonly in?: readonly string[];
  readonly nin?: readonly string[];
  /** SQL's patterns: % is any text, _ any one character. */
  readonly like?: string;
  readonly nlike?: string;
  readonly ilike?: string;
  readonly nilike?: string;
  readonly gt?: string;
  readonly lt?: string;
  readonly gte?: string;
  readonly lte?: string;
  readonly and?: readonly LabelFilter[];
  readonly or?: readonly LabelFilter[];
}

/** A question about one meter's usage. */
export interface MeterQuestion {
  readonly meter: string;
  /** Half-open [from, to), milliseconds UTC; absent = open. */
  readonly from?: number;
  readonly to?: number;
  readonly window: QueryWindow;
  /** IANA name; days, weeks (ISO) and longer begin at its midnight. */
  readonly zone: string;
  /** Only these subjects; rows are then by subject. */
  readonly subjects?: readonly string[];
  /** Only these customers, by id or key; rows are then by customer. */
  readonly customers?: readonly string[];
  /** Labels of the meter that stay in the rows, `subject`, `customer` among them. */
  readonly groupBy: readonly string[];
  /** Conditions on labels, `subject` among them. */
  readonly filters?: Readonly<Record<string, LabelFilter>>;
  /** Rows of 0 (or null) for windows without usage between the bounds. */
  readonly fill: boolean;
  /** Under which progress is told while events are read. */
  readonly progressId?: string;
}

/** Usage of one meter in one window and group. */
export interface MeterRow {
  /** Half-open, milliseconds UTC; the question's own bounds where there is no window and it states them. */
  readonly from: number;
  readonly to: number;
  /** Exact decimal text; null when there is no figure, such as the greatest of nothing. */
  readonly value: string | null;
  readonly events: number;
  /** Null unless rows are by subject. */
  readonly subject: string | null;
  /** The customer's id; null unless rows are by customer. */
  readonly customer: string | null;
  readonly group: Readonly<Record<string, string>>;
}

/** A meter's usage, by window, then customer, subject and group. */
export interface MeterAnswer {
  readonly meter: string;
  readonly from: number | null;
  readonly to: number | null;
  readonly rows: readonly MeterRow[];
  /** Where the figures came from: usage buckets alone, or events that were read. */
  readonly eventsRead: number;
}

/** How far a question is that reads events. */
export interface QueryProgress {
  readonly read: number;
  readonly total: number;
  /** Milliseconds UTC. */
  readonly startedAt: number;
  readonly updatedAt: number;
  readonly isDone: boolean;
}
