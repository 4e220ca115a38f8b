import { z } from "zod";

import type { LabelFilter } from "../../engine/usage/meter-question.ts";

/** OpenMeter's FilterString: conditions that all must hold; null is the same as absent. */
export interface FilterString {
  readonly $eq?: string | null | undefined;
  readonly $ne?: string | null | undefined;
  readonly $in?: readonly string[] | null | undefined;
  readonly $nin?: readonly string[] | null | undefined;
  readonly $like?: string | null | undefined;
  readonly $nlike?: string | null | undefined;
  readonly $ilike?: string | null | undefined;
  readonly $nilike?: string | null | undefined;
  readonly $gt?: string | null | undefined;
  readonly $gte?: string | null | undefined;
  readonly $lt?: string | null | undefined;
  readonly $lte?: string | null | undefined;
  readonly $and?: readonly FilterString[] | null | undefined;
  readonly $or?: readonly FilterString[] | null | undefined;
}

const text = z.string().nullish();
const texts = z.array(z.string()).nullish();

/** The schema of a FilterString; an operator that does not exist is refused, since leaving it out would widen the filter. */
export const filterString: z.ZodType<FilterString> = z.strictObject({
  $eq: text,
  $ne: text,
  $in: texts,
  $nin: texts,
  $like: text,
  $nlike: text,
  $ilike: text,
  $nilike: text,
  $gt: text,
  $gte: text,
  $lt: text,
  $lte: text,
  $and: z.lazy(() => z.array(filterString)).nullish(),
  $or: z.lazy(() => z.array(filterString)).nullish(),
});

/** A FilterString in the words of the engine. */
export function labelFilterOf(wire: FilterString): LabelFilter {
  const plain = Object.entries(wire).flatMap(([operator, operand]) =>
    operand === null || operand === undefined || operator === "$and" || operator === "$or"
      ? []
      : [[operator.slice(1), operand] as const],
  );
  const { $and, $or } = wire;
  return {
    ...Object.fromEntries(plain),
    ...($and === null || $and === undefined ? {} : { and: $and.map(labelFilterOf) }),
    ...($or === null || $or === undefined ? {} : { or: $or.map(labelFilterOf) }),
  };
}
