import { createGunzip } from "node:zlib";
import type http from "node:http";

import compression from "compression";
import connect from "connect";
import express5 from "express";
import express4 from "express4";
import { describe, expect, it } from "vitest";

import {
  ArrayRecorder,
  meteredRequest,
  untyped,
  ask,
  GET,
  meterOf,
  rawAnswer,
  rig,
  serveForTest,
  tokensMeter,
  type Rig,
} from "./rig.ts";

const routes = (parts: Rig): (string | null | undefined)[] =>
  parts.recorder.events.map((event) => event.request?.route);

const answerError: express5.ErrorRequestHandler = (_error, _request, response, _next) =>
  void response.status(500).send("sorry");

describe.each([
  ["Express 5", express5],
  ["Express 4", express4],
])("%s", (name, express) => {
  it("has the route template, also under a mounted router and when mounted itself", async () => {
    const parts = rig({}, { meters: [tokensMeter, meterOf("request.params.id")] });
    const app = express();
    app.use("/", parts.middleware);
    const router = express.Router({ mergeParams: true });
    router.get("/items/:id", (_request, response) => void response.set("X-Tokens-Used", "7").json({ fine: true }));
    router.get("/", (_request, response) => void response.send("root"));
    app.use("/v1/:tenant", router);
    app.post("/chat", (_request, response) => void response.json({}));
    const server = await serveForTest(app);
    await ask(`${server.url}/v1/acme/items/7?x=1`);
    await ask(`${server.url}/v1/acme`);
    await ask(`${server.url}/chat`, { method: "POST" });
    await ask(`${server.url}/unknown`);
    expect(routes(parts)).toEqual(["/v1/acme/items/:id", "/v1/acme", "/chat", null]);
    expect(parts.recorder.events[0]).toMatchObject({
      request: { path: "/v1/acme/items/7", params: { id: "7" } },
      response: { status: 200, headers: { "x-tokens-used": "7" } },
    });
    expect(parts.recorder.events[3]?.response?.status).toBe(404);
  });

  it("keeps route and parameters when a handler throws, rejects or passes an error on", async () => {
    const parts = rig({}, { meters: [meterOf("request.params.id")] });
    const app = express();
    app.use(parts.middleware);
    const router = express.Router();
    router.get("/throws/:id", () => {
      throw new Error("thrown");
    });
    router.get("/passes/:id", (_request, _response, next) => next(new Error("passed")));
    router.get("/rejects/:id", (_request, _response, next) =>
      name === "Express 5" ? Promise.reject(new Error("rejected")) : next(new Error("rejected")),
    );
    app.use("/v1/acme", router);
    app.use(answerError);
    const server = await serveForTest(app);
    for (const kind of ["throws", "passes", "rejects"])
      expect((await ask(`${server.url}/v1/acme/${kind}/a%20b`)).status).toBe(500);
    expect(routes(parts)).toEqual(["/v1/acme/throws/:id", "/v1/acme/passes/:id", "/v1/acme/rejects/:id"]);
    expect(parts.recorder.events.map((event) => [event.response?.status, event.request?.params])).toEqual(
      Array.from({ length: 3 }, () => [500, { id: "a b" }]),
    );
  });

  it("takes the route that a handler names", async () => {
    const parts = rig();
    const app = express();
    app.use(parts.middleware);
    app.get("/v1/acme/x", (request, response) => {
      meteredRequest(request).meter.route = "/v1/:tenant/x";
      response.end();
    });
    await ask(`${(await serveForTest(app)).url}/v1/acme/x`);
    expect(routes(parts)).toEqual(["/v1/:tenant/x"]);
  });

  it("meters once when it is mounted twice, and says so once", async () => {
    const parts = rig();
    const app = express();
    app.use(parts.middleware);
    app.use("/v1", parts.middleware);
    app.get("/v1/x", (_request, response) => void response.send("fine"));
    const server = await serveForTest(app);
    await ask(`${server.url}/v1/x`);
    await ask(`${server.url}/v1/x`);
    expect(parts.recorder.events).toHaveLength(2);
    expect(parts.notices).toMatchObject([{ code: "METER_MOUNTED_TWICE" }]);
  });

  it("meters with compression after it, and keeps the answer readable", async () => {
    const parts = rig();
    const app = express();
    app.use(parts.middleware, compression({ threshold: 0 }));
    app.get("/x", (_request, response) => void response.set("X-Tokens-Used", "7").send("fine ".repeat(1000)));
    const server = await serveForTest(app);
    expect(await gunzipped(server.url)).toBe("fine ".repeat(1000));
    expect(parts.recorder.events).toMatchObject([
      { request: { route: "/x" }, response: { headers: { "x-tokens-used": "7" } } },
    ]);
  });

  it("reads a response body when compression comes before it, and holds it when it comes after", async () => {
    for (const order of ["before", "after"]) {
      const parts = rig({}, { meters: [meterOf("response.body.usage.total", { model: "response.body.model" })] });
      const app = express();
      app.use(
        order === "before"
          ? [compression({ threshold: 0 }), parts.middleware]
          : [parts.middleware, compression({ threshold: 0 })],
      );
      app.get(
        "/x",
        (_request, response) =>
          void response.json({ usage: { total: 137, other: 1 }, model: "m", text: "secret ".repeat(500) }),
      );
      const server = await serveForTest(app);
      expect(JSON.parse(await gunzipped(server.url))).toMatchObject({ model: "m" });
      const [event] = parts.recorder.events;
      expect(event?.faults ?? event?.response?.body).toEqual(
        order === "before" ? { usage: { total: 137 }, model: "m" } : { "response.body": "body_not_json" },
      );
    }
  });

  it.each(["before", "after"])(
    "waits for the disk with compression %s it, and the answer stays readable",
    async (order) => {
      const parts = rig({}, { recorder: new ArrayRecorder({ durable: true }) });
      const app = express();
      const compress = compression({ threshold: 0 });
      app.use(order === "before" ? [compress, parts.middleware] : [parts.middleware, compress]);
      app.get("/x", (_request, response) => void response.set("X-Tokens-Used", "7").send("fine ".repeat(1000)));
      const server = await serveForTest(app);
      const answer = gunzipped(server.url);
      await parts.recorder.has(1);
      parts.recorder.waiting[0]?.();
      expect(await answer).toBe("fine ".repeat(1000));
      expect(parts.recorder.events).toMatchObject([{ response: { status: 200, headers: { "x-tokens-used": "7" } } }]);
    },
  );

  it("reads a request body that a parser made, or the bytes when there is no parser, and changes nothing", async () => {
    for (const parser of [true, false]) {
      const parts = rig({}, { meters: [meterOf("request.body.n", { model: "request.body.model" })] });
      const app = express();
      app.use(parts.middleware);
      if (parser) app.use(express.json());
      app.post("/x", async (request, response) => {
        const chunks: Buffer[] = [];
        if (!parser) for await (const chunk of request) chunks.push(untyped(chunk));
        response.send(parser ? JSON.stringify(request.body) : Buffer.concat(chunks).toString());
      });
      const server = await serveForTest(app);
      const body = JSON.stringify({ n: 5, model: "m", prompt: "secret" });
      expect(
        (await ask(`${server.url}/x`, { method: "POST", body, headers: { "content-type": "application/json" } })).body,
      ).toBe(body);
      expect(parts.recorder.events[0]?.request?.body).toEqual({ n: 5, model: "m" });
      expect(parts.recorder.lines.join("")).not.toContain("secret");
    }
  });

  it("runs hooks after authentication, on the live request", async () => {
    const parts = rig(
      {
        // A hook may be written for the framework's own request type.
        identifyUser: (request: express5.Request) => Reflect.get(Object(request), "user").id,
      },
      { identity: { companyId: ["hook", "request.user.companyId"], userId: ["hook"] } },
    );
    const app = express();
    app.use(parts.middleware);
    app.use((request, _response, next) => {
      Object.assign(request, { user: { id: "u1", companyId: "acme" } });
      next();
    });
    app.get("/x", (_request, response) => void response.send("fine"));
    await ask(`${(await serveForTest(app)).url}/x`);
    expect(parts.recorder.events).toMatchObject([{ company: "acme", user: "u1" }]);
  });

  it("sees headers that later middleware sets while the head is written", async () => {
    const parts = rig();
    const app = express();
    app.use(parts.middleware);
    app.use((_request, response, next) => {
      const writeHead = untyped(response.writeHead.bind(response));
      response.writeHead = (...given: unknown[]) => {
        response.setHeader("X-Tokens-Used", "7");
        return writeHead(...given);
      };
      next();
    });
    app.get("/x", (_request, response) => void response.send("fine"));
    const answer = await ask(`${(await serveForTest(app)).url}/x`);
    expect(answer.headers).toMatchObject({ "x-tokens-used": "7", "content-length": "4" });
    expect(parts.recorder.events[0]?.response?.headers).toEqual({ "x-tokens-used": "7" });
  });
});

describe("Connect", () => {
  it("has the whole path below a mount", async () => {
    const parts = rig();
    const app = connect();
    app.use("/v1", parts.middleware);
    app.use("/v1", (_request: http.IncomingMessage, response: http.ServerResponse) => {
      response.setHeader("X-Tokens-Used", "7");
      response.end("fine");
    });
    await ask(`${(await serveForTest(app)).url}/v1/chat?x=1`);
    expect(parts.recorder.events).toMatchObject([
      { request: { path: "/v1/chat", route: "/v1/chat" }, response: { headers: { "x-tokens-used": "7" } } },
    ]);
  });
});

async function gunzipped(url: string): Promise<string> {
  const { port } = new URL(url);
  const text = await rawAnswer(Number(port), GET("/x", "Accept-Encoding: gzip", "Connection: close"));
  expect(text).toMatch(/content-encoding: gzip/i);
  const gunzip = createGunzip();
  gunzip.end(dechunked(text.slice(text.indexOf("\r\n\r\n") + 4)));
  const chunks: Buffer[] = [];
  for await (const chunk of gunzip) chunks.push(untyped(chunk));
  return Buffer.concat(chunks).toString();
}

function dechunked(body: string): Buffer {
  const parts: Buffer[] = [];
  let at = 0;
  for (;;) {
    const line = body.indexOf("\r\n", at);
    const size = Number.parseInt(body.slice(at, line), 16);
    if (size === 0) return Buffer.concat(parts);
    parts.push(Buffer.from(body.slice(line + 2, line + 2 + size), "latin1"));
    at = line + 2 + size + 2;
  }
}
