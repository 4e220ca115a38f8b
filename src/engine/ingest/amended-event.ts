import { completeEvent, isVoiding, voidingOf } from "../../core/amended-event.ts";
import type { Catalog } from "../../core/catalog.ts";
import type { LaterFact, UsageEvent } from "../../core/event.ts";
import type { Verdict } from "../../core/verdict.ts";
import type { Count, Hold } from "../ports.ts";
import { bucketStart } from "../../core/usage.ts";

/** An event as it is known now, and what the meters say of it. */
export interface SettledEvent {
  readonly event: UsageEvent;
  readonly verdicts: readonly Verdict[];
}

/**
 * What the meters say of an event with its later facts. What a meter counted once stays counted: a later fact adds
 * usage and takes none back, since it may be billed already; only an operator's voiding does, for all meters and for good.
 * The one fold behind assign, correct, replay, verify, rebuild and explain.
 */
export function settle(
  catalog: Catalog,
  stored: { readonly event: UsageEvent; readonly amendments: readonly LaterFact[] },
  verdictsOf: (event: UsageEvent) => readonly Verdict[] = (event) => catalog.judge(event),
): SettledEvent {
  let event = stored.event;
  let verdicts = verdictsOf(event);
  for (const amendment of stored.amendments) {
    if (isVoiding(amendment)) continue;
    event = completeEvent(event, amendment);
    const counted = new Map(verdicts.filter(isCounted).map((verdict) => [verdict.meter, verdict]));
    const next = verdictsOf(event);
    const isSaid = new Set(next.map(({ meter }) => meter));
    const unsaid = [...counted.values()].filter(({ meter }) => !isSaid.has(meter));
    verdicts = [...next.map((verdict) => counted.get(verdict.meter) ?? verdict), ...unsaid];
  }
  const voiding = voidingOf(stored.amendments);
  if (voiding === null) return { event, verdicts };
  const reason = `voided: ${voiding.cause}`;
  return { event, verdicts: verdicts.map(({ meter, version }) => ({ kind: "skipped", meter, version, reason })) };
}

/** The counted verdicts as the store takes them; none while nobody pays. */
export function countsOf({ event, verdicts }: SettledEvent, catalog: Catalog, bucketMs: number): Count[] {
  const { company, time } = event;
  if (company === null) return [];
  return verdicts.flatMap((verdict) => {
    const aggregate = catalog.aggregateOf(verdict.meter);
    if (verdict.kind !== "counted" || aggregate === null) return [];
    const { meter, group, value } = verdict;
    return [{ meter, aggregate, company, group, bucketStart: bucketStart(time, bucketMs), value }];
  });
}

/** The held verdicts as the store takes them. */
export function holdsOf({ verdicts }: SettledEvent): Hold[] {
  return verdicts.flatMap((verdict) => {
    if (verdict.kind !== "held") return [];
    const { meter, reason, detail, value } = verdict;
    return [{ meter, reason, detail, value }];
  });
}

function isCounted(verdict: Verdict): boolean {
  return verdict.kind === "counted";
}
