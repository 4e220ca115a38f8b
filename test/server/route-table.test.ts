import { describe, expect, it } from "vitest";

import { route, type Route } from "../../src/server/route.ts";
import { routeTable } from "../../src/server/route-table.ts";

const at = (method: Route["method"], path: string): Route =>
  route({ method, path, access: "open", tag: "t", summary: "s", answers: {}, reply: async () => ({ status: 200 }) });

const table = routeTable([
  at("get", "/"),
  at("get", "/v1/a"),
  at("post", "/v1/a"),
  at("get", "/v1/a/{id}"),
  at("delete", "/v1/a/{id}"),
  at("get", "/v1/a/special"),
  at("get", "/v1/a/{id}/b/{label}"),
  at("put", "/v1/a/special/b/{label}"),
]);
const found = (method: string, path: string): unknown => {
  const match = table.find(method, path);
  if (match.kind === "route") return [match.route.path, match.params];
  return match.kind === "method" ? match.allow.join() : null;
};

describe("the table of routes", () => {
  it.each([
    ["GET", "/", ["/", {}]],
    ["GET", "/v1/a", ["/v1/a", {}]],
    ["HEAD", "/v1/a", ["/v1/a", {}]],
    ["GET", "/v1/a/special", ["/v1/a/special", {}]],
    ["GET", "/v1/a/x%2Fy%20z", ["/v1/a/{id}", { id: "x/y z" }]],
    ["GET", "/v1/a/__proto__", ["/v1/a/{id}", { id: "__proto__" }]],
    ["DELETE", "/v1/a/special", ["/v1/a/{id}", { id: "special" }]],
    ["GET", "/v1/a/special/b/c", ["/v1/a/{id}/b/{label}", { id: "special", label: "c" }]],
    ["PUT", "/v1/a/special/b/c", ["/v1/a/special/b/{label}", { label: "c" }]],
  ])("%s %s is answered", (method, path, expected) => {
    expect(found(method, path)).toEqual(expected);
  });

  it.each([
    ["PUT", "/v1/a", "GET,HEAD,POST"],
    ["PATCH", "/v1/a/x", "DELETE,GET,HEAD"],
    ["PATCH", "/v1/a/special/b/c", "GET,HEAD,PUT"],
    ["get", "/v1/a", "GET,HEAD,POST"],
    ["OPTIONS", "/", "GET,HEAD"],
  ])("%s %s is for other methods", (method, path, allow) => {
    expect(found(method, path)).toBe(allow);
  });

  it.each(["/v1", "/v1/a/", "//v1/a", "/v1/A", "/v1/a//b/c", "/v1/a/%ff", "/v1/a/%", "/v1/a/x/b/c/d"])(
    "%j is nothing",
    (path) => expect(found("GET", path)).toBeNull(),
  );

  it("refuses two routes with one method and path", () => {
    expect(() => routeTable([at("get", "/x/{a}"), at("get", "/x/{b}")])).toThrow("Two routes answer GET /x/{b}");
  });
});
