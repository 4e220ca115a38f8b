import type { Decimal } from "./decimal.ts";
import type { HoldReason } from "./event.ts";

/** What a meter takes from an event: an exact number, or for `unique` the text that is counted once. */
export type MeteredValue = Decimal | string;

/**
 * What one meter says of one event. Counting, `explain`, `preview`, `rebuild` and `verify` all use the same verdicts.
 * `group` is the canonical text of the group labels (see usage.ts).
 */
export type Verdict =
  | {
      readonly kind: "counted";
      readonly meter: string;
      readonly version: number;
      readonly value: MeteredValue;
      readonly group: string;
    }
  | {
      readonly kind: "held";
      readonly meter: string;
      readonly version: number;
      readonly reason: HoldReason;
      /** The sentence for people, e.g. `response.headers.X-Tokens-Used is "abc"`. */
      readonly detail: string;
      /** Known when only the payer is missing. */
      readonly value: MeteredValue | null;
      readonly group: string;
    }
  | { readonly kind: "skipped"; readonly meter: string; readonly version: number; readonly reason: string };
