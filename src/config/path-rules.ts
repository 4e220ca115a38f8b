import { EVENT_ROOTS } from "../core/event-roots.ts";
import { compilePath, type FieldPath } from "../core/field-path.ts";
import { faultOf } from "./compile-fault.ts";
import type { Place, RemarkOptions } from "./place.ts";
import { closestTo } from "./suggestion.ts";

/** Checks a field path over an event, given as a value or (onKey) as a key: syntax, root, member, and that its field exists. */
export function checkEventPath(
  place: Place,
  text: string,
  fieldNames: readonly string[],
  options: { readonly onKey?: boolean } = {},
): void {
  const path = compiled(place, text, options);
  if (path === null) return;
  const [root = "", member] = path.scope;
  if (root === "" && text.startsWith("$")) return;
  const members = EVENT_ROOTS.get(root);
  if (members === undefined) {
    const closest = closestTo(root, EVENT_ROOTS.keys());
    const roots = [...EVENT_ROOTS.keys()].filter((name) => name !== "action").join(", ");
    place.error(`no event has ${JSON.stringify(root)}; a path begins with ${roots}`, {
      ...options,
      suggestion: replaced(text, root, closest),
    });
    return;
  }
  if (member === undefined) return;
  if (root === "fields") return checkFieldName(place, text, member, fieldNames, options);
  if (members === "any") return;
  if (members === "none")
    return place.error(`${root} is a single value; nothing stands below it`, { ...options, suggestion: root });
  if (members.includes(member)) return;
  const closest = closestTo(member, members);
  const message = `${root} has no ${JSON.stringify(member)}; it has ${members.join(", ")}`;
  place.error(message, {
    ...options,
    suggestion: replaced(text, `${root}.${member}`, closest && `${root}.${closest}`),
  });
}

/** Checks an identity: `hook`, or a path over the live request, which has the application's own members too. */
export function checkIdentityPath(place: Place, text: string): void {
  if (text === "hook") return;
  const path = compiled(place, text, {});
  if (path === null) return;
  const [root = ""] = path.scope;
  if (root === "request" && path.scope.length > 1) return;
  const closest = closestTo(text, ["hook"]) ?? replaced(text, root, closestTo(root, ["request"]));
  const suggestion = closest === text || closest === "request" ? undefined : closest;
  place.error("expected hook, or a path over the live request such as request.user.companyId", {
    suggestion,
    showReceived: true,
  });
}

function checkFieldName(
  place: Place,
  text: string,
  name: string,
  fieldNames: readonly string[],
  options: RemarkOptions,
): void {
  if (fieldNames.includes(name)) return;
  const closest = closestTo(name, fieldNames);
  place.error(`no field ${JSON.stringify(name)}`, {
    ...options,
    suggestion: replaced(text, `fields.${name}`, closest && `fields.${closest}`),
  });
}

function compiled(place: Place, text: string, options: RemarkOptions): FieldPath | null {
  let path: FieldPath | null = null;
  const fault = faultOf(() => (path = compilePath(text)));
  if (fault !== null) place.error(fault.message, { ...options, offset: fault.offset });
  return path;
}

function replaced(text: string, wrong: string, right: string | undefined): string | undefined {
  return right !== undefined && text.startsWith(wrong) ? right + text.slice(wrong.length) : undefined;
}
