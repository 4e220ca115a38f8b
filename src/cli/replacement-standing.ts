import type { Catalog } from "../core/catalog.ts";
import type { UsageEvent } from "../core/event.ts";
import { visible } from "./output.ts";

/** What the meters say of a replacement: those that count it, and those that hold it, with the reason. */
export interface Standing {
  readonly counts: readonly string[];
  readonly held: readonly { readonly meter: string; readonly reason: string; readonly detail: string }[];
}

/** What the meters of now say of it. */
export function standingOf(catalog: Catalog, event: UsageEvent): Standing {
  const verdicts = catalog.judge(event);
  return {
    counts: verdicts.flatMap((verdict) => (verdict.kind === "counted" ? [verdict.meter] : [])),
    held: verdicts.flatMap((verdict) =>
      verdict.kind === "held" ? [{ meter: verdict.meter, reason: verdict.reason, detail: verdict.detail }] : [],
    ),
  };
}

/** `b counts instead`, or that it does not, and why. */
export function insteadText(id: string, { counts, held }: Standing, applied: boolean): string {
  const would = applied ? "" : "would ";
  if (counts.length > 0 && held.length === 0) return `; ${id} ${would}count${applied ? "s" : ""} instead`;
  if (counts.length > 0) return `; ${id} ${would}count${applied ? "s" : ""} instead for ${counts.join(", ")}`;
  if (held.length > 0)
    return `; ${id} ${applied ? "takes" : "would take"} its place and ${applied ? "is" : "be"} held, so it counts for nothing yet`;
  return `; ${id} ${applied ? "takes" : "would take"} its place, and no meter counts it`;
}

/** The replacement is an event as any other: what is held waits for its company or its value. */
export function waysOut(id: string, held: Standing["held"]): string {
  return held.some(({ reason }) => reason === "no_company")
    ? `Say who pays: meterbook held assign ${visible(id)} --company <id>.`
    : `Give the value: meterbook correct replace ${visible(id)} --meter <meter> --value <n>.`;
}
