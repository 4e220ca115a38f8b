import { z } from "zod";

import { openApiDocument } from "../openapi.ts";
import { route, type Route } from "../route.ts";

/** What the service says of itself: its OpenAPI document, and a plain list of its routes. */
export function openApiRoutes(options: {
  readonly routes: readonly Route[];
  readonly version: string;
}): readonly Route[] {
  const { routes, version } = options;
  let document: string | null = null;
  const own: Route[] = [];
  own.push(
    route({
      method: "get",
      path: "/openapi.json",
      access: "open",
      tag: "documents",
      summary: "This document",
      answers: { 200: { description: "OpenAPI 3.1.", schema: z.looseObject({ openapi: z.string() }) } },
      // Made when it is first asked for: most processes are never asked.
      reply: async () => {
        document ??= JSON.stringify(openApiDocument([...routes, ...own], version));
        return { status: 200, body: document, contentType: "application/json" };
      },
    }),
    route({
      method: "get",
      path: "/",
      access: "open",
      tag: "documents",
      summary: "A list of all routes, for people",
      answers: { 200: { description: "Plain text.", contentTypes: ["text/plain"] } },
      reply: async () => ({
        status: 200,
        body: frontPage([...routes, ...own], version),
        contentType: "text/plain; charset=utf-8",
      }),
    }),
  );
  return own;
}

function frontPage(routes: readonly Route[], version: string): string {
  const lines = routes.map(({ method, path, summary }) => `${method.toUpperCase().padEnd(6)} ${path}  ${summary}`);
  return [`meterbook ${version}`, "", ...lines, "", "The whole contract: openapi.json", ""].join("\n");
}
