import type { Json } from "../../core/event.ts";

/** A JSON object. */
export type JsonObject = Readonly<Record<string, Json>>;

/** A body's members; none where it is no object. Only own members are there to be read. */
export function membersOf(body: Json): JsonObject {
  return Object.assign(Object.setPrototypeOf({}, null), isObject(body) ? body : {});
}

/** Whether a JSON value is an object. */
export function isObject(value: Json | undefined): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** A member that is a text; null where it is none. */
export function textAt(members: JsonObject, name: string): string | null {
  const value = members[name];
  return typeof value === "string" ? value : null;
}

/** A member that is a number; null where it is none. */
export function numberAt(members: JsonObject, name: string): number | null {
  const value = members[name];
  return typeof value === "number" ? value : null;
}

/** A member that is an object; an empty one where it is none. */
export function objectAt(members: JsonObject, name: string): JsonObject {
  const value = members[name];
  return isObject(value) ? value : {};
}

/** A member that is an object of texts. */
export function textsAt(members: JsonObject, name: string): Readonly<Record<string, string>> {
  return Object.fromEntries(
    Object.entries(objectAt(members, name)).flatMap(([key, value]) =>
      typeof value === "string" ? [[key, value]] : [],
    ),
  );
}
