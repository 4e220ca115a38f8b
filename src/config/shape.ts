import { z } from "zod";
import type { $ZodIssue, $ZodType } from "zod/v4/core";

import { DURATION_EXPECTED, expectations } from "./field-schema.ts";
import type { Report } from "./report.ts";
import { configSchema } from "./schema.ts";
import { childOf, pathText, plainValue, type Position, type SourceNode, type SourcePath } from "./source.ts";
import { closestTo } from "./suggestion.ts";

/** Checks keys and types against the schema, reporting every difference. */
export function checkShape(root: SourceNode, report: Report): void {
  const checked = configSchema.safeParse(plainValue(root));
  for (const issue of checked.error?.issues ?? []) reportIssue(issue, [], { root, report });
}

interface Shape {
  readonly root: SourceNode;
  readonly report: Report;
}

function reportIssue(issue: $ZodIssue, base: SourcePath, shape: Shape): void {
  const path = [...base, ...issue.path.map((step) => (typeof step === "number" ? step : String(step)))];
  if (issue.code === "unrecognized_keys") return reportUnknownKeys(issue.keys, path, shape);
  const found = find(path, shape.root);
  if (found.node === null) return reportMissing(path, found, shape);
  if (found.node.kind === "broken") return;
  const { node } = found;
  if (issue.code === "invalid_union") {
    const member = node.kind === "scalar" ? 0 : node.kind === "list" ? 1 : 2;
    const inner = issue.discriminator === undefined ? issue.errors[member] : undefined;
    // A member that fails at its own root was not the one that was meant.
    if (inner !== undefined && inner.every((deeper) => deeper.path.length > 0 || deeper.code === "unrecognized_keys")) {
      for (const deeper of inner) reportIssue(deeper, path, shape);
      return;
    }
  }
  const choices = choicesOf(issue, found.schema);
  const expected =
    choices === null
      ? expectedOf(issue, found.schema)
      : `one of ${choices.map((choice) => JSON.stringify(choice)).join("|")}`;
  const word = node.kind === "scalar" && typeof node.value === "string" && !node.substituted ? node.value : "";
  const hint = expected === DURATION_EXPECTED ? "" : quoteHint(issue, node);
  const suggestion = choices === null ? undefined : closestTo(word, choices);
  shape.report.error({
    path,
    at: node.at,
    message: `expected ${expected}${hint}`,
    suggestion,
    ...(hint === "" ? { received: node } : {}),
  });
}

function reportUnknownKeys(keys: readonly string[], path: SourcePath, shape: Shape): void {
  const { node, schema } = find(path, shape.root);
  if (node?.kind !== "map") return;
  const known = schema instanceof z.ZodObject ? Object.keys(schema.shape).filter((key) => !node.entries.has(key)) : [];
  const place = path.length === 0 ? "" : ` in ${pathText(path)}`;
  for (const key of keys) {
    const message = `unknown key ${JSON.stringify(key)}${place}.`;
    const at = node.entries.get(key)?.keyAt ?? node.at;
    shape.report.error({ path: [...path, key], at, kind: "key", message, suggestion: closestTo(key, known) });
  }
}

/** A missing key is reported where the map that lacks it begins: at that map's own key. */
function reportMissing(path: SourcePath, found: Found, shape: Shape): void {
  if (found.isBroken) return;
  const parent = path.slice(0, -1);
  const place = parent.length === 0 ? "" : ` in ${pathText(parent)}`;
  const choices = valuesOf(found.schema);
  const expected =
    choices === null ? wordOf(found.schema) : `one of ${choices.map((choice) => JSON.stringify(choice)).join("|")}`;
  const message = `the key "${path.at(-1) ?? ""}" is missing${place}; expected ${expected}`;
  shape.report.error({ path, at: found.at, kind: "key", message });
}

interface Found {
  /** Null when the last step of the path leads nowhere. */
  readonly node: SourceNode | null;
  readonly schema: $ZodType | null;
  /** The deepest place on the way: its key where it has one. */
  readonly at: Position | null;
  readonly isBroken: boolean;
}

/** Walks a path through tree and schema together. */
function find(path: SourcePath, root: SourceNode): Found {
  let node: SourceNode | null = root;
  let schema: $ZodType | null = configSchema;
  let at = root.at;
  let isBroken = root.kind === "broken";
  for (const step of path) {
    schema = schema === null || node === null ? null : memberSchema(resolved(schema, node), step);
    const entry = node?.kind === "map" ? node.entries.get(`${step}`) : undefined;
    const next: SourceNode | null = node === null ? null : childOf(node, step);
    if (next !== null) at = entry?.keyAt ?? next.at;
    if (next?.kind === "broken") isBroken = true;
    node = next;
  }
  return { node, schema: schema === null ? null : resolved(schema, node), at, isBroken };
}

function memberSchema(schema: $ZodType, step: string | number): $ZodType | null {
  if (schema instanceof z.ZodObject) {
    const shape: Readonly<Record<string, $ZodType>> = schema.shape;
    return (Object.hasOwn(shape, `${step}`) ? shape[`${step}`] : schema.def.catchall) ?? null;
  }
  if (schema instanceof z.ZodDiscriminatedUnion && step === schema.def.discriminator) {
    return z.enum(schema.options.flatMap((option) => tagsOf(option, step).map(String)));
  }
  if (schema instanceof z.ZodRecord) return schema.valueType;
  return schema instanceof z.ZodArray ? schema.element : null;
}

/** The schema without `optional`, and the member of a union that fits what was written. */
function resolved(schema: $ZodType, node: SourceNode | null): $ZodType {
  if (schema instanceof z.ZodOptional) return resolved(schema.unwrap(), node);
  if (node === null || !(schema instanceof z.ZodUnion)) return schema;
  if (schema instanceof z.ZodDiscriminatedUnion) {
    const tag = childOf(node, schema.def.discriminator);
    const value = tag?.kind === "scalar" ? tag.value : null;
    return schema.options.find((option) => tagsOf(option, schema.def.discriminator).includes(value)) ?? schema;
  }
  const kinds = { map: z.ZodObject, list: z.ZodArray };
  const kind = node.kind === "map" || node.kind === "list" ? kinds[node.kind] : null;
  return kind === null ? schema : (schema.options.find((option) => option instanceof kind) ?? schema);
}

function tagsOf(option: $ZodType, discriminator: string): readonly unknown[] {
  const tag = option instanceof z.ZodObject ? option.shape[discriminator] : undefined;
  return tag instanceof z.ZodLiteral ? [...tag.values] : [];
}

function choicesOf(issue: $ZodIssue, schema: $ZodType | null): readonly string[] | null {
  if (issue.code === "invalid_union" && issue.discriminator !== undefined) return valuesOf(schema);
  return issue.code === "invalid_value" ? valuesOf(schema) : null;
}

/** The texts that a schema allows; null when it allows more than a few. */
function valuesOf(schema: $ZodType | null): readonly string[] | null {
  if (schema instanceof z.ZodEnum) return schema.options.map(String);
  return null;
}

function expectedOf(issue: $ZodIssue, schema: $ZodType | null): string {
  if (issue.code === "too_small" && issue.origin === "array") return "at least one entry";
  if (issue.code === "too_small" && issue.origin === "string") return `${wordOf(schema)}, found an empty text`;
  return wordOf(schema);
}

function wordOf(schema: $ZodType | null): string {
  if (schema === null) return "something else";
  const registered = expectations.get(schema);
  if (registered !== undefined) return registered.expected;
  if (schema instanceof z.ZodString) return "text";
  if (schema instanceof z.ZodBoolean) return "true or false";
  if (schema instanceof z.ZodNumber) return "a number";
  if (schema instanceof z.ZodArray) return "a list";
  if (schema instanceof z.ZodRecord || schema instanceof z.ZodObject || schema instanceof z.ZodDiscriminatedUnion)
    return "a map";
  return "something else";
}

/** A number or boolean where a text is wanted is nearly always a missing pair of quotes. */
function quoteHint(issue: $ZodIssue, node: SourceNode): string {
  if (issue.code !== "invalid_type" || issue.expected !== "string") return "";
  return node.kind === "scalar" && node.value !== null && typeof node.value !== "string"
    ? `; quote it: "${node.written}"`
    : "";
}
