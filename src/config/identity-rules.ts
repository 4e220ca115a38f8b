import { checkIdentityPath } from "./path-rules.ts";
import type { Place } from "./place.ts";
import type { Settings } from "./settings.ts";

/** Who an exchange belongs to; without a word about it, the hooks decide and events of nobody are held. */
export function checkIdentity(root: Place): Settings["identity"] {
  const identity = root.child("identity");
  return {
    companyId: checkSources(identity?.child("companyId") ?? null),
    userId: checkSources(identity?.child("userId") ?? null),
    unknown: identity?.child("unknown")?.text() === "drop" ? "drop" : "hold",
  };
}

function checkSources(place: Place | null): readonly string[] {
  if (place === null) return ["hook"];
  const sources: string[] = [];
  for (const source of place.node.kind === "list" ? place.children() : [place]) {
    const text = source.text();
    if (text === null || text === "") continue;
    checkIdentityPath(source, text);
    if (sources.includes(text)) source.error("stands in this list for the second time", { showReceived: true });
    sources.push(text);
  }
  return sources;
}
