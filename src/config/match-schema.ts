import { z } from "zod";

import { expectations } from "./field-schema.ts";

/** A single value that a field is compared with. Numbers and numeric texts compare as numbers. */
export type ComparedValue = string | number | boolean | null;

/** A value (equal), a list (any of), or operators that must all hold. */
export type ConditionInput = ComparedValue | ComparedValue[] | z.input<typeof operatorsSchema>;

/** Lines that must all hold: field path → condition; `and`, `or` and `not` nest further lines. */
export interface MatchInput {
  and?: MatchInput[] | undefined;
  or?: MatchInput[] | undefined;
  not?: MatchInput | undefined;
  type?: ConditionInput | undefined;
  action?: ConditionInput | undefined;
  company?: ConditionInput | undefined;
  subject?: ConditionInput | undefined;
  user?: ConditionInput | undefined;
  durationMs?: ConditionInput | undefined;
  aborted?: ConditionInput | undefined;
  apiVersion?: ConditionInput | undefined;
  metadata?: ConditionInput | undefined;
  [path: `request.${string}` | `response.${string}` | `metadata.${string}` | `metadata[${string}`]:
    | ConditionInput
    | undefined;
  [path: `data.${string}` | `data[${string}` | `attributes.${string}`]: ConditionInput | undefined;
  [path: `values.${string}` | `fields.${string}` | `$${string}`]: ConditionInput | undefined;
}

// Members of every union stand in the order single value, list, map: messages pick the member by what was written.
const comparedSchema = z
  .union([z.string(), z.number(), z.boolean(), z.null()])
  .register(expectations, { expected: "text, a number, true or false" });
const single = (description: string): typeof comparedSchema => comparedSchema.meta({ description });
const numeric = (description: string) =>
  z.union([z.string(), z.number()]).meta({ description }).register(expectations, { expected: "a number or text" });
const words = (description: string) => z.string().meta({ description });
const list = (description: string) => z.array(comparedSchema).min(1).meta({ description });

const operatorsSchema = z.strictObject({
  eq: single("Equal. Numbers compare by value, other things as text.").optional(),
  ne: single("Not equal.").optional(),
  gt: numeric("Greater than.").optional(),
  gte: numeric("Greater than or equal.").optional(),
  lt: numeric("Less than.").optional(),
  lte: numeric("Less than or equal.").optional(),
  in: list("Equal to one of these.").optional(),
  not_in: list("Equal to none of these.").optional(),
  exists: z.boolean().meta({ description: "true: the field must be there. false: it must not." }).optional(),
  contains: words("The text contains this.").optional(),
  starts_with: words("The text begins with this.").optional(),
  ends_with: words("The text ends with this.").optional(),
  like: words("A glob: * is any text, ? is one character.").optional(),
  matches: words("A regular expression (RE2: linear time, no back-references).").optional(),
});

const conditionSchema = z
  .union([comparedSchema, z.array(comparedSchema).min(1), operatorsSchema])
  .register(expectations, { expected: "one value, a list of values, or operators such as { gte: 200 }" });

const line = (description: string) => conditionSchema.meta({ description }).optional();

/** The keys of a match that are no field paths. */
export const TREE_KEYS: ReadonlySet<string> = new Set(["and", "or", "not"]);

export const matchSchema: z.ZodType<MatchInput, MatchInput> = z
  .object({
    get and(): z.ZodOptional<z.ZodArray<typeof matchSchema>> {
      return z.array(matchSchema).min(1).meta({ description: "Each of these must hold." }).optional();
    },
    get or(): z.ZodOptional<z.ZodArray<typeof matchSchema>> {
      return z.array(matchSchema).min(1).meta({ description: "At least one of these must hold." }).optional();
    },
    get not(): z.ZodOptional<typeof matchSchema> {
      return matchSchema.meta({ description: "This must not hold." }).optional();
    },
    type: line("The event's type: http.request for exchanges, the action's name for tracked work."),
    "request.method": line("HTTP method, upper case."),
    "request.route": line("Route template such as /items/:id."),
    "request.path": line("Path as the client sent it, without the query."),
    "response.status": line("HTTP status code."),
  })
  .catchall(conditionSchema)
  .meta({
    id: "match",
    description:
      "Lines that must all hold: field path → a value, a list (any of) or operators. The keys and, or and not nest further lines.",
  });
