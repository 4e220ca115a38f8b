import http from "node:http";
import https from "node:https";

import express5 from "express";
import express4 from "express4";
import { describe, expect, it } from "vitest";

import { createServer } from "../../src/express/index.ts";
import { ask, rig, untyped, serveForTest, type Running } from "../capture/rig.ts";

async function served(server: http.Server | https.Server): Promise<Running> {
  const started = await serveForTest(() => undefined, server);
  return started;
}

describe.each([
  ["Express 5", express5],
  ["Express 4", express4],
])("createServer with %s", (_, express) => {
  it("makes requests and responses that already have the app's prototypes", async () => {
    const app = express();
    const seen: boolean[] = [];
    app.get(
      "/x",
      (request, response) =>
        void response.json({ type: request.get("host") !== undefined, name: request.constructor.name }),
    );
    const server = createServer(app);
    server.prependListener("request", (request, response) => {
      seen.push(Object.getPrototypeOf(request) === app.request, Object.getPrototypeOf(response) === app.response);
    });
    const { url } = await served(server);
    expect(JSON.parse((await ask(`${url}/x`)).body)).toEqual({ type: true, name: "IncomingMessage" });
    expect(seen).toEqual([true, true]);
  });

  it("answers as the plain server does, metered or not", async () => {
    const answers: unknown[] = [];
    for (const fast of [true, false]) {
      const parts = rig();
      const app = express();
      app.set("etag", false).use(parts.middleware);
      app.get(
        "/x/:id",
        (request, response) =>
          void response
            .set("X-Tokens-Used", "7")
            .status(201)
            .send(`${request.params["id"]} ${request.path} ${request.hostname}`),
      );
      const sub = express();
      sub.get("/y", (request, response) => void response.send(`${request.baseUrl} ${request.app === sub}`));
      app.use("/sub", sub);
      const { url } = await served(createServer(app, { fast }));
      for (const path of ["/x/1?a=b", "/sub/y", "/none"]) {
        const answer = await ask(url + path);
        answers.push({
          path,
          status: answer.status,
          body: answer.body.replaceAll(url, ""),
          names: Object.keys(answer.headers),
          event: parts.recorder.events.at(-1)?.request,
        });
      }
    }
    expect(answers.slice(3)).toEqual(answers.slice(0, 3));
    expect(answers).toMatchObject([
      { status: 201, body: "1 /x/1 127.0.0.1", event: { route: "/x/:id" } },
      { body: "/sub true", event: { route: "/sub/y" } },
      { status: 404, event: { route: null } },
      {},
      {},
      {},
    ]);
  });

  it("gets later changes of app.request", async () => {
    const app = express();
    const server = createServer(app);
    Object.assign(app.request, { greeting: "hello" });
    app.get("/", (request, response) => void response.send(String(Reflect.get(request, "greeting"))));
    expect((await ask((await served(server)).url)).body).toBe("hello");
  });
});

describe("createServer", () => {
  it("falls back in silence for what is no Express app", async () => {
    for (const listener of [
      (_request: http.IncomingMessage, response: http.ServerResponse) => void response.end("fine"),
      Object.assign((_request: http.IncomingMessage, response: http.ServerResponse) => void response.end("fine"), {
        request: {},
        response: 1,
      }),
    ]) {
      expect((await ask((await served(createServer(listener))).url)).body).toBe("fine");
    }
  });

  it("makes the plain server when fast is false", async () => {
    const app = express5();
    const server = createServer(app, { fast: false });
    let isPlain = false;
    server.prependListener(
      "request",
      (request) => (isPlain = Object.getPrototypeOf(request) === http.IncomingMessage.prototype),
    );
    app.get("/", (_request, response) => void response.end());
    await ask((await served(server)).url);
    expect(isPlain).toBe(true);
  });

  it("passes the options of Node's server on", async () => {
    const server = createServer(express5(), {
      keepAliveTimeout: 1234,
      maxHeaderSize: 4096,
      requestTimeout: 999,
    }) as http.Server;
    expect([server.keepAliveTimeout, server.requestTimeout]).toEqual([1234, 999]);
    const { url } = await served(server);
    expect((await ask(url, { headers: { "x-long": "x".repeat(5000) } })).status).toBe(431);
    class Own extends http.ServerResponse {}
    const app = express5();
    let isOwn = false;
    const own = createServer(app, { ServerResponse: untyped(Own) });
    own.prependListener("request", (_request, response) => (isOwn = Object.getPrototypeOf(response) === Own.prototype));
    await ask((await served(own)).url);
    expect(isOwn).toBe(true);
  });

  it("speaks https with what a certificate needs", async () => {
    // An anonymous cipher: no certificate has to be made, kept or renewed for the test.
    const anonymous = { ciphers: "ADH-AES128-GCM-SHA256:@SECLEVEL=0", maxVersion: "TLSv1.2", dhparam: "auto" } as const;
    const parts = rig();
    const app = express5()
      .use(parts.middleware)
      .get("/x", (request, response) => void response.send(String(request.secure)));
    const server = createServer(app, { ...anonymous, SNICallback: (_name, done) => done(null) });
    expect(server).toBeInstanceOf(https.Server);
    const { port } = await served(server);
    const body = await new Promise((resolve, reject) => {
      const options = {
        port,
        host: "127.0.0.1",
        path: "/x",
        rejectUnauthorized: false,
        agent: false,
        ...anonymous,
        checkServerIdentity: () => undefined,
      };
      https
        .get(options, (response) => response.once("data", (chunk: Buffer) => resolve(chunk.toString())))
        .once("error", reject);
    });
    expect(body).toBe("true");
    expect(parts.recorder.events).toMatchObject([{ request: { route: "/x" }, response: { status: 200 } }]);
  });

  it("refuses what can be no listener", () => {
    expect(() => createServer(untyped({}))).toThrow(/takes an app or a request listener; received object/);
    expect(() => createServer(express5(), untyped({ fast: "no" }))).toThrow(
      expect.objectContaining({ code: "METER_OPTION_INVALID" }),
    );
  });
});
