import type { CapturePlan, KeptNames } from "../core/capture-plan.ts";
import { limits } from "../engine/limits.ts";
import type { BodyWish } from "./body-text.ts";
import type { CaptureDepth, MeterOptions } from "./options.ts";
import { redactedHeaders } from "./redaction.ts";

/** What events keep of headers. Names are lower case. */
export interface KeptHeaders {
  /** Kept as they are, since somebody named them. */
  readonly named: readonly string[];
  /** True: all the others too, those of `redacted` without their value. */
  readonly isAll: boolean;
  readonly redacted: ReadonlySet<string>;
}

/** What events keep of an exchange, worked out once from the capture plan and the options. */
export interface KeptFields {
  readonly requestHeaders: KeptHeaders;
  readonly responseHeaders: KeptHeaders;
  readonly query: KeptNames;
  readonly params: KeptNames;
  /** Null = the body is not looked at. */
  readonly requestBody: BodyWish | null;
  readonly responseBody: BodyWish | null;
}

/** With `depth` metered, what the meters need; the other depths add to that. */
export function keptFields(plan: CapturePlan, options: MeterOptions, depth: CaptureDepth): KeptFields {
  const isWhole = depth === "all";
  const requestId = options.requestId === undefined ? [] : [options.requestId.toLowerCase()];
  const redacted = redactedHeaders(options);
  const body = (kept: CapturePlan["requestBody"], bytesMax: number = limits.bodyBytesMax): BodyWish | null =>
    kept.kind === "none" && !isWhole ? null : { kept, isWhole, bytesMax };
  return {
    requestHeaders: headers(plan.requestHeaders, requestId, depth, redacted),
    responseHeaders: headers(plan.responseHeaders, [], depth, redacted),
    query: plan.query,
    params: plan.params,
    requestBody: body(plan.requestBody, options.requestMaxBodySize),
    responseBody: body(plan.responseBody, options.responseMaxBodySize),
  };
}

/** True when nothing of these headers is kept. */
export function keepsNothing(kept: KeptHeaders): boolean {
  return !kept.isAll && kept.named.length === 0;
}

function headers(
  planned: KeptNames,
  further: readonly string[],
  depth: CaptureDepth,
  redacted: ReadonlySet<string>,
): KeptHeaders {
  // Where an expression may read any header nobody named one, and the deny list holds.
  const named = planned === "all" ? further : [...new Set([...planned, ...further])];
  return { named, isAll: planned === "all" || depth !== "metered", redacted };
}
