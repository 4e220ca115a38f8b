import { STATUS_CODES } from "node:http";

import { z } from "zod";

import { PROBLEM_TYPE } from "./problem.ts";
import { schemaBook, type JsonSchema, type SchemaBook } from "./schema-book.ts";
import type { Route } from "./route.ts";

/** The OpenAPI 3.1 document (https://spec.openapis.org/oas/v3.1.1) of routes: their own schemas, as they validate. */
export function openApiDocument(routes: readonly Route[], version: string): object {
  const book = schemaBook();
  const problem = book.shown(problemShown);
  const paths: Record<string, Record<string, object>> = {};
  for (const route of routes) (paths[route.path] ??= {})[route.method] = operation(route, book, problem);
  return {
    openapi: "3.1.0",
    info: {
      title: "meterbook",
      version,
      license: { name: "MIT", identifier: "MIT" },
      description:
        "Meters an API and bills for it. Decimal numbers are strings, times RFC 3339; what went wrong is application/problem+json (RFC 9457).",
    },
    servers: [{ url: "./" }],
    security: [{ key: [] }],
    tags: [...new Set(routes.map(({ tag }) => tag))].map((name) => ({ name })),
    paths,
    components: {
      schemas: book.components(),
      securitySchemes: {
        key: { type: "http", scheme: "bearer", description: "An API key: mb_…" },
        token: { type: "http", scheme: "bearer", description: "A customer's token: mbt_…" },
        portal: { type: "http", scheme: "bearer", description: "A portal token: mbp_…" },
      },
    },
  };
}

const problemShown = z
  .object({
    type: z.string(),
    title: z.string(),
    status: z.int(),
    detail: z.string(),
    instance: z.string().meta({ description: "Names a fault of ours in the log." }).optional(),
    code: z.string(),
    errors: z
      .array(z.object({ in: z.enum(["body", "path", "query", "header"]), pointer: z.string(), message: z.string() }))
      .optional(),
    extensions: z
      .object({
        validationErrors: z.array(z.object({ field: z.string(), code: z.string(), message: z.string() })),
      })
      .optional(),
  })
  .meta({ id: "Problem" });

function operation(route: Route, book: SchemaBook, problem: JsonSchema): object {
  const { method, path, tag, summary, description, access } = route;
  const words = path.split(/[^A-Za-z0-9]+/).filter((word) => word !== "");
  const operationId = [method, ...words.map((word) => word[0]?.toUpperCase() + word.slice(1))].join("");
  const parameters = [...parametersOf(route.params, "path", book), ...parametersOf(route.query, "query", book)];
  const content = bodyOf(route, book);
  return {
    operationId: words.length === 0 ? `${method}Root` : operationId,
    tags: [tag],
    summary,
    ...(description === undefined ? {} : { description }),
    ...(access === "open" ? { security: [] } : access === "token" ? { security: [{ key: [] }, { token: [] }] } : {}),
    ...(access === "portal" ? { security: [{ portal: [] }] } : {}),
    ...(access === "open" || access === "token" || access === "portal" ? {} : { "x-scope": access }),
    ...(parameters.length === 0 ? {} : { parameters }),
    ...(content === null ? {} : { requestBody: { required: true, content } }),
    responses: { ...answersOf(route, book), ...problemsOf(route, problem) },
  };
}

function parametersOf(schema: z.ZodType | undefined, place: "path" | "query", book: SchemaBook): readonly object[] {
  if (schema === undefined) return [];
  const { properties = {}, required = [] } = book.inline(schema);
  return Object.entries(properties).map(([name, given]) => {
    const { description, ...shape } = given;
    const isObject = shape["type"] === "object";
    return {
      name,
      in: place,
      required: place === "path" || required.includes(name),
      ...(description === undefined ? {} : { description }),
      ...(isObject ? { style: "deepObject", explode: true } : {}),
      schema: shape,
    };
  });
}

function bodyOf(route: Route, book: SchemaBook): object | null {
  if (route.rawBody === true) {
    const types = route.accepts ?? ["application/octet-stream"];
    return Object.fromEntries(types.map((type) => [type, { schema: {} }]));
  }
  return route.body === undefined ? null : { "application/json": { schema: book.taken(route.body) } };
}

function answersOf(route: Route, book: SchemaBook): Record<string, object> {
  return Object.fromEntries(
    Object.entries(route.answers).map(([status, { description, schema, contentTypes }]) => {
      const types = contentTypes ?? (schema === undefined ? [] : ["application/json"]);
      const content = types.map((type) => [type, mediaOf(type, schema, book)]);
      return [status, { description, ...(content.length === 0 ? {} : { content: Object.fromEntries(content) }) }];
    }),
  );
}

function mediaOf(type: string, schema: z.ZodType | undefined, book: SchemaBook): object {
  return { schema: schema === undefined || !type.endsWith("json") ? { type: "string" } : book.shown(schema) };
}

function problemsOf(route: Route, problem: JsonSchema): Record<string, object> {
  const always = route.access === "open" ? [500, 503] : [400, 401, 403, 404, 429, 500, 503];
  const byBody = route.body === undefined && route.rawBody !== true ? [] : [413, 415];
  const byChange = route.access === "admin" && route.method !== "get" ? [409] : [];
  const statuses = [...always, ...byBody, ...byChange]
    .filter((status) => !(status in route.answers))
    .toSorted((a, b) => a - b);
  return Object.fromEntries(
    statuses.map((status) => [
      String(status),
      { description: STATUS_CODES[status] ?? "Problem", content: { [PROBLEM_TYPE]: { schema: problem } } },
    ]),
  );
}
