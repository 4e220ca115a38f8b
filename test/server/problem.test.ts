import request from "supertest";
import { describe, expect, it } from "vitest";
import { z } from "zod";

import { MeterbookError } from "../../src/core/errors.ts";
import { route, type Route } from "../../src/server/route.ts";
import { allRoutes } from "./all-routes.ts";
import { echo, rawCall } from "./echo.ts";
import { startServer } from "./rig.ts";

const failing = (path: string, failure: unknown): Route =>
  route({
    method: "get",
    path,
    access: "open",
    tag: "test",
    summary: "Fails",
    answers: {},
    reply: async () => {
      throw failure;
    },
  });

const strict = route({
  method: "post",
  path: "/strict/{id}",
  access: "open",
  tag: "test",
  summary: "Takes little",
  params: z.strictObject({ id: z.string().max(3) }),
  query: z.strictObject({ n: z.string().regex(/^\d+$/).optional() }),
  body: z.strictObject({
    name: z.string(),
    list: z.array(z.strictObject({ "a/b~c": z.int() })),
    way: z.union([z.strictObject({ kind: z.literal("x"), x: z.int() }), z.strictObject({ kind: z.literal("y") })]),
  }),
  answers: {},
  reply: async () => ({ status: 204 }),
});

describe("a problem", () => {
  it("has exactly the media type application/problem+json, and the members of RFC 9457", async () => {
    const { port } = await startServer();
    const answer = await rawCall(port, "GET /nowhere HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n");
    const [head = "", body = ""] = answer.split("\r\n\r\n");
    expect(head.split("\r\n")).toContain("content-type: application/problem+json");
    expect(JSON.parse(body)).toEqual({
      type: "about:blank",
      title: "Not Found",
      status: 404,
      detail: "There is nothing here.",
      code: "METER_NOT_FOUND",
    });
  });

  it("names every mistake by its place, in both forms", async () => {
    const { url } = await startServer({ routes: [strict] });
    const response = await request(url)
      .post("/strict/long?n=x&m=1")
      .send({ name: 1, list: [{ "a/b~c": 1 }, { "a/b~c": 1.5 }], way: { kind: "x", x: "no" }, more: true });
    expect(response.status).toBe(400);
    expect(response.headers["content-type"]).toBe("application/problem+json");
    const body = JSON.parse(response.text);
    expect(body.errors.map((error: { in: string; pointer: string }) => `${error.in} ${error.pointer}`)).toEqual([
      "path /id",
      "query /n",
      "query /m",
      "body /name",
      "body /list/1/a~1b~0c",
      "body /way/x",
      "body /more",
    ]);
    expect(body.extensions.validationErrors.map(({ field }: { field: string }) => field)).toContain("/name");
  });

  it.each([
    ["METER_REQUEST_INVALID", 400],
    ["METER_UNAUTHORIZED", 401],
    ["METER_FORBIDDEN", 403],
    ["METER_NOT_FOUND", 404],
    ["METER_EVENT_NOT_FOUND", 404],
    ["METER_CONFLICT", 409],
    ["METER_CORRECTION_REFUSED", 409],
    ["METER_RATE_LIMITED", 429],
    ["METER_SERVER_BUSY", 503],
    ["METER_STORE_BUSY", 503],
  ] as const)("of %s is %d, with its sentences", async (code, status) => {
    const mistakes = [{ pointer: "/x", message: "wrong" }];
    const failure = new MeterbookError(code, "It is so.", { remedy: "Do this.", mistakes });
    const { url, logged } = await startServer({ routes: [failing("/f", failure)] });
    const response = await request(url).get("/f");
    expect(response.status).toBe(status);
    expect(JSON.parse(response.text)).toMatchObject({
      code,
      detail: "It is so. Do this.",
      errors: [{ in: "query", pointer: "/x", message: "wrong" }],
    });
    expect(response.headers["retry-after"]).toBe(status === 503 ? "1" : undefined);
    expect(logged).toEqual([]);
  });

  it.each([
    ["an error", new Error("password=hunter2 at /srv/secret.db"), 500],
    ["a failure of ours", new MeterbookError("METER_STORE_VERSION", "password=hunter2 at /srv/secret.db"), 500],
    ["a failing disk", new MeterbookError("METER_STORE_FAILED", "password=hunter2 at /srv/secret.db"), 503],
    ["no error at all", "password=hunter2", 500],
  ])("that is a fault of ours tells nothing of %s but a name, under which it is logged", async (_, failure, status) => {
    const { url, logged } = await startServer({ routes: [failing("/f", failure)] });
    const response = await request(url).get("/f");
    expect([response.status, response.headers["retry-after"]]).toEqual([status, status === 503 ? "1" : undefined]);
    expect(response.text).not.toContain("hunter2");
    const { instance } = JSON.parse(response.text);
    expect(instance).toMatch(/^urn:meterbook:fault:[0-9a-f]{18}$/);
    expect(logged).toMatchObject([{ level: "error", facts: { instance, route: "/f", error: failure } }]);
  });

  it("of a method names those that there are", async () => {
    const { url } = await startServer({ routes: [echo] });
    const response = await request(url).get("/echo");
    expect([response.status, response.headers["allow"]]).toEqual([405, "POST"]);
  });

  it("never shows what was sent as a header or breaks a log line", async () => {
    const { url, logged } = await startServer({ routes: [echo] });
    const response = await request(url).get("/%0d%0aset-cookie:%20a=b%1b[31m");
    expect(response.status).toBe(404);
    expect(response.headers["set-cookie"]).toBeUndefined();
    expect(logged).toEqual([]);
  });
});

describe("a problem of OpenMeter's v3", () => {
  it("has its mistakes as invalid_parameters too, and one of another wire has not", async () => {
    const { url } = await startServer({ routes: allRoutes });
    const post = async (path: string, body: unknown, type = "application/json"): Promise<unknown> =>
      (
        await fetch(`${url}${path}`, { method: "POST", body: JSON.stringify(body), headers: { "content-type": type } })
      ).json();
    for (const base of ["/api/v3/openmeter", "/v3/openmeter"])
      expect(await post(`${base}/meters`, { key: "a_meter", name: 1 })).toMatchObject({
        status: 400,
        invalid_parameters: expect.arrayContaining([
          { field: "name", rule: "invalid", reason: expect.stringContaining("string"), source: "body" },
        ]),
      });
    expect(await (await fetch(`${url}/api/v3/openmeter/meters?page[size]=x`)).json()).toMatchObject({
      invalid_parameters: [{ field: "page.size", source: "query" }],
    });
    expect(await post("/v1/meters", { key: 1 })).not.toHaveProperty("invalid_parameters");
    const sent = { specversion: "1.0", id: "", source: "s", type: "t", subject: "ann" };
    const type = "application/cloudevents+json";
    expect(await post("/api/v3/openmeter/events", sent, type)).toMatchObject({
      invalid_parameters: [{ field: "0.id", source: "body" }],
    });
    expect(await post("/api/v1/events", sent, type)).not.toHaveProperty("invalid_parameters");
  });
});
