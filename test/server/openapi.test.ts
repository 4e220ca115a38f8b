import { validate } from "@readme/openapi-parser";
import { describe, expect, it } from "vitest";

import { allRoutes } from "./all-routes.ts";
import { startServer } from "./rig.ts";

interface Operation {
  readonly operationId: string;
  readonly responses: Readonly<Record<string, unknown>>;
}

interface Document {
  readonly openapi: string;
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>;
  readonly components: { readonly schemas: Readonly<Record<string, unknown>> };
}

const routes = allRoutes;

describe("the OpenAPI document", () => {
  it("is valid OpenAPI 3.1, and has every route under a name of its own", async () => {
    const { url, router } = await startServer({ routes });
    const response = await fetch(`${url}/openapi.json`);
    expect(response.headers.get("content-type")).toBe("application/json");
    const text = await response.text();
    const document: Document = JSON.parse(text);
    expect(document.openapi).toBe("3.1.0");
    expect(await validate(JSON.parse(text))).toMatchObject({ valid: true });
    const operations = Object.entries(document.paths).flatMap(([path, methods]) =>
      Object.entries(methods).map(([method, { operationId }]) => ({ name: `${method} ${path}`, operationId })),
    );
    const names = operations.map(({ name }) => name).toSorted();
    expect(names).toEqual(router.routes.map(({ method, path }) => `${method} ${path}`).toSorted());
    expect(new Set(operations.map(({ operationId }) => operationId)).size).toBe(operations.length);
  });

  it("points to schemas that are there, and says what every failure looks like", async () => {
    const { url } = await startServer({ routes });
    const text = await (await fetch(`${url}/openapi.json`)).text();
    const document: Document = JSON.parse(text);
    const known = new Set(Object.keys(document.components.schemas).map((name) => `#/components/schemas/${name}`));
    const pointed = [...text.matchAll(/"\$ref":"([^"]+)"/g)].map((match) => match[1] ?? "");
    expect(pointed.filter((pointer) => !known.has(pointer))).toEqual([]);
    expect(known.size).toBeGreaterThan(20);
    const silent = Object.values(document.paths)
      .flatMap((methods) => Object.values(methods))
      .filter(({ responses }) => !("500" in responses));
    expect(silent).toEqual([]);
  });

  it("is listed for people at the front door", async () => {
    const { url } = await startServer();
    const response = await fetch(url);
    expect(response.headers.get("content-type")).toBe("text/plain; charset=utf-8");
    expect(await response.text()).toContain("POST   /v1/events");
  });
});
