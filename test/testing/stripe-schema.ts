import { existsSync, readFileSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { Ajv, type ValidateFunction } from "ajv";

/** Stripe's own description of its API, kept beside the repository and not in it; may be absent. */
export const SCHEMA_FILE = path.resolve(
  fileURLToPath(new URL("../..", import.meta.url)),
  "..",
  "shared",
  "stripe-openapi-subset.json",
);

/** Whether requests can be held against the schema on this machine. Say so in the test's name. */
export const schemaPresent = existsSync(SCHEMA_FILE);

export type SchemaVerdict =
  | { readonly kind: "valid" }
  | { readonly kind: "invalid"; readonly problems: readonly string[] }
  /** The file is not there: nothing was checked. */
  | { readonly kind: "unchecked" };

type Schema = Readonly<Record<string, unknown>>;

interface Loaded {
  readonly paths: Schema;
  readonly ajv: Ajv;
  readonly compiled: Map<string, ValidateFunction>;
}

let loaded: Loaded | null = null;

/**
 * Holds one request against Stripe's schema: unknown path, unknown or missing parameter, wrong type, too long.
 * `form` is the raw body (POST) or query (GET, DELETE) text; of v2 POSTs it is JSON.
 */
export function validateStripeRequest(method: string, requestPath: string, form: string): SchemaVerdict {
  if (!schemaPresent) {
    return { kind: "unchecked" };
  }
  const { paths } = load();
  const template = findTemplate(Object.keys(paths), requestPath);
  const operation = template === null ? null : at(paths, template, method.toLowerCase());
  if (operation === null) {
    return { kind: "invalid", problems: [`${method} ${requestPath} is not in Stripe's API`] };
  }
  return validate(`${method} ${template ?? ""}`, parametersSchema(method, operation), (schema) =>
    method === "POST" && requestPath.startsWith("/v2/")
      ? JSON.parse(form === "" ? "{}" : form)
      : coerce(decodeBrackets(form), schema),
  );
}

/** Holds an answer's body against the schema of the operation's 200. */
export function validateStripeAnswer(method: string, requestPath: string, body: unknown): SchemaVerdict {
  if (!schemaPresent) {
    return { kind: "unchecked" };
  }
  const { paths } = load();
  const template = findTemplate(Object.keys(paths), requestPath);
  const operation = template === null ? null : at(paths, template, method.toLowerCase());
  const schema = at(operation, "responses", "200", "content", "application/json", "schema");
  if (schema === null) {
    return { kind: "invalid", problems: [`${method} ${requestPath} has no answer in Stripe's API`] };
  }
  return validate(`answer ${method} ${template ?? ""}`, schema, () => body);
}

function load(): Loaded {
  if (loaded === null) {
    const document: unknown = JSON.parse(readFileSync(SCHEMA_FILE, "utf8"));
    const paths = at(document, "paths") ?? {};
    const ajv = new Ajv({ strict: false, allErrors: true, validateFormats: false });
    ajv.addSchema({ $id: "stripe", components: translated(at(document, "components")) });
    loaded = { paths, ajv, compiled: new Map() };
  }
  return loaded;
}

function validate(name: string, schema: Schema, value: (schema: Schema) => unknown): SchemaVerdict {
  const { ajv, compiled } = load();
  const check = compiled.get(name) ?? ajv.compile({ allOf: [translated(schema)] });
  compiled.set(name, check);
  return check(value(schema))
    ? { kind: "valid" }
    : {
        kind: "invalid",
        problems: (check.errors ?? []).map(
          (error) => `${error.instancePath} ${error.message ?? ""} ${JSON.stringify(error.params)}`,
        ),
      };
}

/** From OpenAPI's dialect to JSON Schema's: references into the whole document, and `nullable` as a choice. */
function translated(schema: unknown): unknown {
  if (Array.isArray(schema)) {
    return schema.map((each: unknown) => translated(each));
  }
  if (typeof schema !== "object" || schema === null) {
    return schema;
  }
  const entries = Object.entries(schema).filter(([key, value]) => key !== "nullable" || typeof value !== "boolean");
  const rest = Object.fromEntries(
    entries.map(([key, value]) => [
      key,
      key === "$ref" && typeof value === "string" ? `stripe${value}` : translated(value),
    ]),
  );
  return "nullable" in schema && schema.nullable === true ? { anyOf: [rest, { type: "null" }] } : rest;
}

function findTemplate(templates: readonly string[], requestPath: string): string | null {
  if (templates.includes(requestPath)) {
    return requestPath;
  }
  const parts = requestPath.split("/");
  return (
    templates.find((template) => {
      const expected = template.split("/");
      return expected.length === parts.length && expected.every((part, i) => part.startsWith("{") || part === parts[i]);
    }) ?? null
  );
}

/** One object schema: of the body for a POST, of the query parameters otherwise; a DELETE sends its body's as a query. */
function parametersSchema(method: string, operation: Schema): Schema {
  const content = at(operation, "requestBody", "content");
  const body = at(content, "application/x-www-form-urlencoded", "schema") ?? at(content, "application/json", "schema");
  if (method === "POST" || (method === "DELETE" && body !== null)) {
    return body ?? emptyObject({}, []);
  }
  const inQuery = schemas(operation["parameters"]).filter((parameter) => parameter["in"] === "query");
  return emptyObject(
    Object.fromEntries(inQuery.map((parameter) => [String(parameter["name"]), parameter["schema"]])),
    inQuery.filter((parameter) => parameter["required"] === true).map((parameter) => String(parameter["name"])),
  );
}

function emptyObject(properties: Record<string, unknown>, required: readonly string[]): Schema {
  return { type: "object", properties, required, additionalProperties: false };
}

function at(schema: unknown, ...keys: readonly string[]): Schema | null {
  let here = schema;
  for (const key of keys) {
    here = isSchema(here) ? here[key] : undefined;
  }
  return isSchema(here) ? here : null;
}

function isSchema(value: unknown): value is Schema {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function schemas(list: unknown): readonly Schema[] {
  return Array.isArray(list) ? list.filter((each) => isSchema(each)) : [];
}

type Decoded = string | { [key: string]: Decoded };

/** A second reading of the brackets, not the server's own: a mistake in one does not hide in the other. */
function decodeBrackets(form: string): Decoded {
  const root: { [key: string]: Decoded } = {};
  for (const [name, value] of new URLSearchParams(form)) {
    const keys = name.replaceAll("]", "").split("[");
    let here = root;
    for (const key of keys.slice(0, -1)) {
      const below = here[key];
      const next = typeof below === "object" ? below : {};
      here[key] = next;
      here = next;
    }
    here[keys.at(-1) ?? ""] = value;
  }
  return root;
}

/** Turns texts into what the schema wants where the text says exactly that, and number-keyed maps into lists. */
function coerce(value: Decoded, schema: Schema): unknown {
  const choices = schemas(schema["anyOf"]);
  if (choices.length > 0) {
    const fitting = choices.find((choice) => shapeFits(value, choice));
    return fitting === undefined ? value : coerce(value, fitting);
  }
  if (typeof value === "string") {
    return coerceText(value, schema["type"]);
  }
  if (schema["type"] === "array") {
    const members = at(schema, "items") ?? {};
    return Object.values(value).map((each) => coerce(each, members));
  }
  return Object.fromEntries(
    Object.entries(value).map(([key, each]) => [
      key,
      coerce(each, at(schema, "properties", key) ?? at(schema, "additionalProperties") ?? {}),
    ]),
  );
}

function shapeFits(value: Decoded, schema: Schema): boolean {
  switch (schema["type"]) {
    case "object":
    case "array":
      return typeof value === "object";
    case "integer":
      return typeof value === "string" && /^-?\d+$/.test(value);
    default:
      return typeof value === "string" && (!Array.isArray(schema["enum"]) || schema["enum"].includes(value));
  }
}

function coerceText(text: string, type: unknown): unknown {
  switch (type) {
    case "integer":
      return /^-?\d+$/.test(text) ? Number(text) : text;
    case "number":
      return /^-?\d+(\.\d+)?$/.test(text) ? Number(text) : text;
    case "boolean":
      return text === "true" ? true : text === "false" ? false : text;
    default:
      return text;
  }
}
