import { z } from "zod";

/** A JSON Schema as an OpenAPI document holds it. */
export interface JsonSchema {
  [keyword: string]: unknown;
  properties?: Record<string, JsonSchema>;
  required?: string[];
}

/** Gathers the schemas of a document; those with an id stand once, among the components. */
export interface SchemaBook {
  /** What is taken: as it is sent, before reading. */
  taken(schema: z.ZodType): JsonSchema;
  /** What is answered. */
  shown(schema: z.ZodType): JsonSchema;
  /** As taken, but its own members written out. */
  inline(schema: z.ZodType): JsonSchema;
  components(): Readonly<Record<string, JsonSchema>>;
}

export function schemaBook(): SchemaBook {
  const components = new Map<string, JsonSchema>();
  const write = (schema: z.ZodType, io: "input" | "output"): JsonSchema => {
    // Within another one, a schema with an id becomes a reference like any other.
    const whole = z.toJSONSchema(z.object({ it: schema }), { io, unrepresentable: "any" });
    const { $defs = {}, properties = {} } = asSchema(whole);
    const names = new Map<string, string>();
    for (const [id, definition] of Object.entries(asSchemas($defs)))
      names.set(id, nameFor(components, id, definition, io));
    for (const [id, definition] of Object.entries(asSchemas($defs)))
      components.set(names.get(id) ?? id, pointed(definition, names));
    return pointed(properties["it"] ?? {}, names);
  };
  return {
    taken: (schema) => write(schema, "input"),
    shown: (schema) => write(schema, "output"),
    inline: (schema) => {
      const written = write(schema, "input");
      const reference = written["$ref"];
      if (typeof reference !== "string") return written;
      return components.get(reference.slice("#/components/schemas/".length)) ?? written;
    },
    components: () => Object.fromEntries([...components].toSorted(([a], [b]) => (a < b ? -1 : 1))),
  };
}

/** Where taking and answering differ, each has a name of its own. */
function nameFor(
  components: ReadonlyMap<string, JsonSchema>,
  id: string,
  definition: JsonSchema,
  io: "input" | "output",
): string {
  const plain = id.replaceAll(/[^A-Za-z0-9_]/g, "_");
  const known = components.get(plain);
  const own = JSON.stringify(pointed(definition, new Map()));
  return known === undefined || JSON.stringify(known) === own ? plain : `${plain}${io === "input" ? "Taken" : "Shown"}`;
}

/** The schema with its references pointing into the components, and without what only zod reads. */
function pointed(schema: JsonSchema, names: ReadonlyMap<string, string>): JsonSchema {
  const copy = (value: unknown, isNames: boolean): unknown => {
    if (Array.isArray(value)) return value.map((member) => copy(member, false));
    if (typeof value !== "object" || value === null) return value;
    return Object.fromEntries(
      Object.entries(value).flatMap(([key, member]): [string, unknown][] => {
        if (!isNames && key === "$ref" && typeof member === "string") {
          const id = member.replace("#/$defs/", "");
          return [[key, `#/components/schemas/${names.get(id) ?? id}`]];
        }
        if (!isNames && (key === "id" || key === "$schema") && typeof member === "string") return [];
        return [
          [key, key === "examples" || key === "enum" || key === "const" ? member : copy(member, key === "properties")],
        ];
      }),
    );
  };
  return asSchema(copy(schema, false));
}

function asSchema(value: unknown): JsonSchema {
  return typeof value === "object" && value !== null ? { ...value } : {};
}

function asSchemas(value: unknown): Record<string, JsonSchema> {
  return typeof value === "object" && value !== null
    ? Object.fromEntries(Object.entries(value).map(([name, schema]) => [name, asSchema(schema)]))
    : {};
}
