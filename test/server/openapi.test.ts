import { validate } from "@readme/openapi-parser";
import { describe, expect, it } from "vitest";

import { startServer } from "./rig.ts";

interface Document {
  readonly paths: Readonly<Record<string, object>>;
}

describe("the OpenAPI document", () => {
  it("is valid OpenAPI 3.1, and has every route", async () => {
    const { url, router } = await startServer();
    const response = await fetch(`${url}/openapi.json`);
    expect(response.headers.get("content-type")).toBe("application/json");
    const document: Document = JSON.parse(await response.text());
    const checked = await validate(JSON.parse(JSON.stringify(document)));
    expect(checked).toMatchObject({ valid: true });
    const documented = Object.entries(document.paths).flatMap(([path, methods]) =>
      Object.keys(methods).map((method) => `${method} ${path}`),
    );
    expect(documented.toSorted()).toEqual(router.routes.map(({ method, path }) => `${method} ${path}`).toSorted());
  });
});
