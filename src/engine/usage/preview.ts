import { compileCatalog } from "../../core/catalog.ts";
import { formatDecimal } from "../../core/decimal.ts";
import type { MeterDefinition } from "../../core/meter.ts";
import { bucketFold } from "../../core/bucket-fold.ts";
import { mergeBuckets, usageRows, type Bucket } from "../../core/usage.ts";
import type { Verdict } from "../../core/verdict.ts";
import { settle } from "../ingest/amended-event.ts";
import { limits } from "../limits.ts";
import { pathHints } from "../ingest/path-hints.ts";
import type { Store, TimeRange } from "../ports.ts";
import { countedValues, eventPages, type OnProgress } from "../ingest/refold.ts";

export interface PreviewOptions {
  readonly definition: MeterDefinition;
  /** Computed fields: name → CEL expression. */
  readonly fields: Readonly<Record<string, string>>;
  readonly unknownIdentity: "hold" | "drop";
  readonly range: TimeRange;
  readonly onProgress?: OnProgress;
}

/** A definition tried against the stored events; nothing was changed. */
export interface Preview {
  readonly meter: string;
  readonly events: number;
  /** Events that every line of `match` holds for, held ones included. */
  readonly matched: number;
  /** Matched events that would be held, and among them those without a value. */
  readonly held: number;
  readonly missing: number;
  /** Exact decimal text; null when there is no figure. */
  readonly total: string | null;
  readonly companies: readonly { readonly company: string; readonly value: string | null; readonly events: number }[];
  /** Events that were not matched, by first failing line, most frequent first. */
  readonly skipped: readonly { readonly reason: string; readonly events: number }[];
  /** Paths of the definition that no event has, and what was perhaps meant. */
  readonly hints: readonly string[];
}

/** Judges the stored events by a definition that need not be in force yet. */
export async function previewMeter(store: Store, options: PreviewOptions): Promise<Preview> {
  const { definition } = options;
  const catalog = compileCatalog({
    versions: [{ definition, version: 1, effectiveFrom: Number.MIN_SAFE_INTEGER }],
    fields: options.fields,
    unknownIdentity: options.unknownIdentity,
    limits: { groupLabelLengthMax: limits.groupLabelLengthMax, futureMs: limits.futureMs },
  });
  const fold = bucketFold();
  const hints = pathHints(definition);
  const tally = { events: 0, matched: 0, held: 0, missing: 0, skipped: new Map<string, number>() };
  for await (const page of eventPages(store, options.range)) {
    for (const stored of page) {
      const settled = settle(catalog, stored, (event) => catalog.explain(event));
      hints.see(settled.event);
      for (const verdict of settled.verdicts) count(tally, verdict);
      fold.add(countedValues(settled, stored.seq, catalog, store.bucketMs));
    }
    tally.events += page.length;
    options.onProgress?.(tally.events);
  }
  const { skipped, ...numbers } = tally;
  return {
    meter: definition.key,
    ...numbers,
    ...figures(fold.buckets()),
    skipped: [...skipped].map(([reason, events]) => ({ reason, events })).toSorted((a, b) => b.events - a.events),
    hints: tally.events === 0 ? [] : hints.hints(),
  };
}

interface Tally {
  matched: number;
  held: number;
  missing: number;
  readonly skipped: Map<string, number>;
}

function count(tally: Tally, verdict: Verdict): void {
  if (verdict.kind === "skipped") {
    const isKnown = tally.skipped.has(verdict.reason) || tally.skipped.size < limits.previewPathsMax;
    const reason = isKnown ? verdict.reason : "other reasons";
    tally.skipped.set(reason, (tally.skipped.get(reason) ?? 0) + 1);
    return;
  }
  tally.matched += 1;
  if (verdict.kind === "counted") return;
  tally.held += 1;
  if (verdict.reason === "missing_value") tally.missing += 1;
}

function figures(buckets: readonly Bucket[]): Pick<Preview, "total" | "companies"> {
  const companies = usageRows(buckets, { window: null }).map(({ company, value, events }) => ({
    company,
    value: value === null ? null : formatDecimal(value),
    events,
  }));
  const everybody = mergeBuckets(
    buckets.map((bucket) => ({ ...bucket, company: "" })),
    [],
  );
  const total = usageRows(everybody, { window: null })[0]?.value ?? null;
  return { total: total === null ? null : formatDecimal(total), companies };
}
