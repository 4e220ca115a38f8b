import { z } from "zod";

import { instant } from "./instant.ts";
import type { TimeCondition } from "./event-conditions.ts";
import type { TextCondition } from "./text-condition.ts";

/** v3's filter of a text in a query: `filter[key]=x` or `filter[key][eq]=x`; lists are separated by commas. */
export const textField = z
  .union([
    z.string().transform((eq) => ({ eq })),
    z.strictObject({
      eq: z.string().optional(),
      neq: z.string().optional(),
      contains: z.string().optional(),
      ocontains: z.string().optional(),
      oeq: z.string().optional(),
      gt: z.string().optional(),
      gte: z.string().optional(),
      lt: z.string().optional(),
      lte: z.string().optional(),
      exists: z.enum(["true", "false"]).optional(),
    }),
  ])
  .transform(textOf);

/** v3's filter of an instant: `filter[time][gte]=2025-01-01T00:00:00Z`. */
export const timeField = z.union([
  instant.transform((eq): TimeCondition => ({ eq })),
  z
    .strictObject({
      eq: instant.optional(),
      gt: instant.optional(),
      gte: instant.optional(),
      lt: instant.optional(),
      lte: instant.optional(),
    })
    .transform(withoutAbsent),
]);

interface TextField {
  readonly eq?: string | undefined;
  readonly neq?: string | undefined;
  readonly contains?: string | undefined;
  readonly ocontains?: string | undefined;
  readonly oeq?: string | undefined;
  readonly gt?: string | undefined;
  readonly gte?: string | undefined;
  readonly lt?: string | undefined;
  readonly lte?: string | undefined;
  readonly exists?: "true" | "false" | undefined;
}

function textOf({ eq, neq, contains, ocontains, oeq, gt, gte, lt, lte, exists }: TextField): TextCondition {
  const parts = contains === undefined ? ocontains?.split(",") : [contains];
  return withoutAbsent({
    eq,
    ne: neq,
    parts,
    in: oeq?.split(","),
    gt,
    gte,
    lt,
    lte,
    exists: exists === undefined ? undefined : exists === "true",
  });
}

type Present<Members> = { readonly [Name in keyof Members]?: Exclude<Members[Name], undefined> };

/** An object without the members that are undefined: a filter tells absent from present. */
export function withoutAbsent<Members extends object>(members: Members): Present<Members> {
  const kept = Object.entries(members).filter(([, value]) => value !== undefined);
  return Object.assign({}, ...kept.map(([name, value]) => ({ [name]: value })));
}
