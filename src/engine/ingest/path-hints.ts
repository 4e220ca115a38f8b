import { compilePath, pathText } from "../../core/field-path.ts";
import type { UsageEvent } from "../../core/event.ts";
import type { Filter } from "../../core/filter.ts";
import type { MeterDefinition } from "../../core/meter.ts";
import { owns } from "../../core/own-member.ts";
import { limits } from "../limits.ts";
import { nearName } from "../../core/near-name.ts";

/** Watches which paths events really have, to say where a meter's path was probably meant. */
export interface PathHints {
  see(event: UsageEvent): void;
  /** `response.headers.x-token-used is in 0 events, x-tokens-used in 118`; only for paths that no event has. */
  hints(): readonly string[];
}

/** Hints for the paths that a meter names. Computed fields and JSONPath have no neighbours to suggest. */
export function pathHints(definition: MeterDefinition): PathHints {
  const named = new Set([
    ...definition.match.flatMap(pathsOf),
    ...Object.values(definition.groupBy),
    ...(definition.value === null ? [] : [definition.value]),
  ]);
  const watched = [...named].flatMap((text) =>
    /^(fields\.|\$)/.test(text) ? [] : [{ path: compilePath(text), events: 0 }],
  );
  const seen = new Map<string, Map<string, number>>();
  let different = 0;
  const count = (parent: string, name: string): void => {
    const names = seen.get(parent) ?? new Map<string, number>();
    if (!names.has(name) && ++different > limits.previewPathsMax) return;
    names.set(name, (names.get(name) ?? 0) + 1);
    seen.set(parent, names);
  };
  return {
    see: (event) => {
      for (const each of watched) if (each.path.read(event) !== undefined) each.events += 1;
      countNames(event, [], count);
    },
    hints: () =>
      watched.flatMap(({ path: { segments }, events }) => {
        const name = segments?.at(-1);
        if (events > 0 || segments === null || name === undefined) return [];
        const names = seen.get(pathText(segments.slice(0, -1))) ?? new Map<string, number>();
        const near = nearName(name, names.keys());
        const found = near === null ? "" : `, ${near} in ${names.get(near) ?? 0}`;
        return [`${pathText(segments)} is in 0 events${found}`];
      }),
  };
}

function pathsOf(filter: Filter): readonly string[] {
  if (owns(filter, "path")) return [filter.path];
  if (owns(filter, "and")) return filter.and.flatMap(pathsOf);
  if (owns(filter, "or")) return filter.or.flatMap(pathsOf);
  return owns(filter, "not") ? pathsOf(filter.not) : [];
}

/** Own names of the event's objects, a few levels deep; elements of arrays have no names. */
function countNames(value: object, parents: readonly string[], count: (parent: string, name: string) => void): void {
  const parent = pathText(parents);
  for (const [name, inner] of Object.entries(value) as [string, unknown][]) {
    count(parent, name);
    if (typeof inner === "object" && inner !== null && !Array.isArray(inner) && parents.length < DEPTH_MAX)
      countNames(inner, [...parents, name], count);
  }
}

const DEPTH_MAX = 5;
