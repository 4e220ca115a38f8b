import { compileExpression, type Expression, type ExpressionPurpose } from "../core/expression.ts";
import { faultOf } from "./compile-fault.ts";
import { checkName, NAME_RULE } from "./name-rules.ts";
import type { Place } from "./place.ts";
import { closestTo } from "./suggestion.ts";

/** Computed fields: name → CEL expression. */
export function checkFields(root: Place): Readonly<Record<string, string>> {
  const fields: Record<string, string> = {};
  for (const field of root.child("fields")?.children() ?? []) {
    checkName(field, "a field's name", NAME_RULE);
    const text = field.text();
    if (text === null || text === "") continue;
    checkExpression(field, text, "field");
    fields[field.key] = text;
  }
  return fields;
}

/** Checks a CEL expression; a condition may read computed fields, which then have to exist. */
export function checkExpression(
  place: Place,
  text: string,
  purpose: ExpressionPurpose,
  fieldNames: readonly string[] = [],
): void {
  let expression: Expression | null = null;
  const compile = (): void => {
    expression = compileExpression(text, purpose);
  };
  const fault = faultOf(compile);
  if (fault !== null) return place.error(fault.message, { offset: fault.offset });
  for (const read of readsOf(expression)) {
    const name = /^fields\.([A-Za-z_][A-Za-z0-9_]*)/.exec(read)?.[1];
    if (name === undefined || fieldNames.includes(name)) continue;
    place.error(`no field ${JSON.stringify(name)}`, {
      offset: Math.max(0, text.indexOf(name)),
      suggestion: closestTo(name, fieldNames),
    });
  }
}

function readsOf(expression: Expression | null): readonly string[] {
  return expression?.reads ?? [];
}
