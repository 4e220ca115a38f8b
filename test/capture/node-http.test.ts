import { once } from "node:events";
import http from "node:http";

import { describe, expect, it } from "vitest";

import type { MeteredRequest } from "../../src/capture/options.ts";
import {
  meteredRequest,
  untyped,
  ArrayRecorder,
  ask,
  GET,
  meterOf,
  rawAnswer,
  rawClient,
  rig,
  serveForTest,
  type Rig,
  type Running,
} from "./rig.ts";

const nothing = (): void => undefined;

type Handler = (request: MeteredRequest, response: http.ServerResponse) => void;

async function metered(parts: Rig, handler: Handler): Promise<Running> {
  const server = await serveForTest((request, response) => {
    parts.middleware(request, response);
    handler(meteredRequest(request), response);
  });
  return server;
}

describe("headers of the response", () => {
  const forms: [string, (response: http.ServerResponse) => void, string | string[]][] = [
    ["setHeader with text", (response) => response.setHeader("X-Tokens-Used", "7"), "7"],
    ["setHeader with a number", (response) => response.setHeader("X-Tokens-Used", 7), "7"],
    ["setHeader with a list", (response) => response.setHeader("X-Tokens-Used", ["7", "8"]), ["7", "8"]],
    [
      "appendHeader twice",
      (response) => response.appendHeader("X-Tokens-Used", "7").appendHeader("X-Tokens-Used", "8"),
      ["7", "8"],
    ],
    ["writeHead(status, object)", (response) => response.writeHead(200, { "X-Tokens-Used": "7" }), "7"],
    ["writeHead(status, message, object)", (response) => response.writeHead(200, "Fine", { "X-Tokens-Used": 7 }), "7"],
    [
      "writeHead(status, flat list)",
      (response) => response.writeHead(200, ["X-Tokens-Used", "7", "X-Other", "1"]),
      "7",
    ],
    [
      "writeHead(status, message, flat list)",
      (response) => response.writeHead(200, "Fine", ["X-Tokens-Used", "7"]),
      "7",
    ],
    [
      "writeHead over setHeader",
      (response) => response.setHeader("X-Tokens-Used", "1").writeHead(200, { "x-tokens-used": "7" }),
      "7",
    ],
  ];

  it.each(forms)("sees %s", async (_, set, expected) => {
    const parts = rig();
    const server = await metered(parts, (_request, response) => {
      set(response);
      response.end("fine");
    });
    const answer = await ask(server.url);
    expect(answer.headers["x-tokens-used"]).toBe([expected].flat().join(", "));
    expect(parts.recorder.events.map((event) => event.response)).toEqual([
      { status: 200, headers: { "x-tokens-used": expected } },
    ]);
  });

  it("sees writeHead with a list of pairs", async () => {
    const parts = rig();
    const server = await metered(parts, (_request, response) => {
      response.writeHead(200, untyped([["X-Tokens-Used", "7"]]));
      response.end("fine");
    });
    await ask(server.url);
    expect(parts.recorder.events[0]?.response?.headers).toEqual({ "x-tokens-used": "7" });
  });

  it("keeps the status message and what other code sees", async () => {
    const parts = rig();
    const server = await metered(parts, (_request, response) => {
      const same = response.writeHead(201, "Made", { "X-Tokens-Used": "7" });
      response.end(String(same === response));
    });
    const text = await rawAnswer(server.port, GET("/", "Connection: close"));
    expect(text).toMatch(/^HTTP\/1.1 201 Made\r\n/);
    expect(text).toMatch(/true$/m);
  });

  it("takes a trailer, which wins over a header of its name", async () => {
    const parts = rig();
    const server = await metered(parts, (_request, response) => {
      response.setHeader("X-Tokens-Used", "0");
      response.setHeader("Trailer", "X-Tokens-Used");
      response.write("a");
      response.addTrailers({ "X-Tokens-Used": "137" });
      response.end("b");
    });
    const answer = await ask(server.url);
    expect(answer.trailers).toEqual({ "x-tokens-used": "137" });
    expect(parts.recorder.events[0]?.response?.headers).toEqual({ "x-tokens-used": "137" });
  });

  it("takes trailers given as pairs", async () => {
    const parts = rig();
    const server = await metered(parts, (_request, response) => {
      response.write("a");
      response.addTrailers([["X-Tokens-Used", "9"]]);
      response.end();
    });
    await ask(server.url);
    expect(parts.recorder.events[0]?.response?.headers).toEqual({ "x-tokens-used": "9" });
  });

  it("strips headers from what the client sees, and still meters them", async () => {
    const parts = rig({ stripHeaders: ["X-Tokens-Used"] });
    const server = await metered(parts, (request, response) => {
      if (request.url === "/set") response.setHeader("X-Tokens-Used", "7");
      if (request.url === "/object") response.writeHead(200, { "X-Tokens-Used": "7", "X-Kept": "1" });
      if (request.url === "/list") response.writeHead(200, "Fine", ["X-Tokens-Used", "7"]);
      response.end("fine");
    });
    for (const path of ["/set", "/object", "/list"]) {
      const answer = await ask(server.url + path);
      expect(answer.headers).not.toHaveProperty("x-tokens-used");
      expect(answer.body).toBe("fine");
    }
    expect(parts.recorder.events.map((event) => event.response?.headers?.["x-tokens-used"])).toEqual(["7", "7", "7"]);
  });

  it("keeps nothing but the named headers, and no query in the path", async () => {
    const parts = rig();
    const server = await metered(parts, (_request, response) => {
      response.setHeader("X-Secret", "s");
      response.end();
    });
    await ask(`${server.url}/chat?key=secret`, { headers: { Authorization: "Bearer s3cret" } });
    expect(parts.recorder.events[0]).toMatchObject({ request: { method: "GET", path: "/chat", route: "/chat" } });
    expect(parts.recorder.lines.join("")).not.toMatch(/secret|s3cret/i);
  });
});

describe("headers of the request", () => {
  it("keeps each line of a header that was sent twice", async () => {
    const parts = rig({}, { meters: [meterOf("request.headers.X-Tokens")] });
    const server = await metered(parts, (_request, response) => response.end());
    await rawAnswer(server.port, GET("/", "X-Tokens: 5", "x-tokens: 7", "Connection: close"));
    await ask(server.url, { headers: { "X-TOKENS": "5" } });
    expect(parts.recorder.events.map((event) => event.request?.headers?.["x-tokens"])).toEqual([["5", "7"], "5"]);
  });

  it("shows both lines where Node keeps the first only", async () => {
    const parts = rig({}, { meters: [meterOf("request.headers.Authorization")] });
    const server = await metered(parts, (request, response) => response.end(request.headers.authorization));
    const text = await rawAnswer(
      server.port,
      GET("/", "Authorization: Bearer a", "authorization: Bearer b", "Connection: close"),
    );
    expect(text).toContain("Bearer a");
    expect(parts.recorder.events[0]?.request?.headers?.["authorization"]).toEqual(["Bearer a", "Bearer b"]);
  });
});

describe("query and path", () => {
  it("keeps the named parameters, repeated ones as a list", async () => {
    const parts = rig({}, { meters: [meterOf("request.query.n", { model: "request.query.model" })] });
    const server = await metered(parts, (_request, response) => response.end());
    await ask(`${server.url}/a?n=1&n=2&model=m%20x&secret=1`);
    await ask(`${server.url}/a?__proto__=1`);
    expect(parts.recorder.events.map((event) => event.request?.query)).toEqual([
      { model: "m x", n: ["1", "2"] },
      undefined,
    ]);
  });

  it("reads the path of an absolute request target", async () => {
    const parts = rig();
    const server = await metered(parts, (_request, response) => response.end());
    await rawAnswer(server.port, GET("http://example.test/v1/x?y=1", "Connection: close"));
    await rawAnswer(server.port, "OPTIONS * HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    expect(parts.recorder.events.map((event) => event.request?.path)).toEqual(["/v1/x", "*"]);
  });
});

describe("the end of a response", () => {
  it("has its line before the last byte leaves", async () => {
    const parts = rig();
    let linesAtEnd = -1;
    const server = await serveForTest((request, response) => {
      const { socket } = response;
      const write = socket?.write.bind(socket);
      if (socket === null || write === undefined) return;
      socket.write = (...given: [string]) => {
        linesAtEnd = parts.recorder.lines.length;
        return write(...given);
      };
      parts.middleware(request, response);
      response.end("fine");
    });
    await ask(server.url);
    expect(linesAtEnd).toBe(1);
  });

  it("keeps Node's return values, callbacks and argument forms", async () => {
    const parts = rig({ capture: "all" });
    const returned: unknown[] = [];
    const called: string[] = [];
    const server = await metered(parts, (request, response) => {
      returned.push(response.write("a", () => called.push("write")));
      if (request.url === "/callback") returned.push(response.end(() => called.push("end")) === response);
      else if (request.url === "/encoding") returned.push(response.end("62", "hex") === response);
      else returned.push(response.end("b", "utf8", () => called.push("end")) === response);
    });
    expect((await ask(`${server.url}/callback`)).body).toBe("a");
    expect((await ask(`${server.url}/encoding`)).body).toBe("ab");
    expect((await ask(`${server.url}/all`)).body).toBe("ab");
    expect(returned).toEqual([true, true, true, true, true, true]);
    expect(called.filter((name) => name === "end")).toHaveLength(2);
    expect(called.filter((name) => name === "write")).toHaveLength(3);
    expect(parts.recorder.events).toHaveLength(3);
  });

  it("leaves back-pressure as it is", async () => {
    const parts = rig({}, { meters: [meterOf("response.body.tokens")] });
    const accepted: boolean[] = [];
    const server = await metered(parts, (_request, response) => {
      response.setHeader("content-type", "application/json");
      while (accepted.at(-1) !== false) accepted.push(response.write(Buffer.alloc(128 * 1024, "x")));
      response.once("drain", () => response.end());
    });
    const answer = await ask(server.url);
    expect(answer.body).toHaveLength(accepted.length * 128 * 1024);
    expect(parts.recorder.events[0]?.faults).toEqual({ "response.body": "body_too_large" });
  });

  it("states the length of a body that comes whole, as Node does", async () => {
    const parts = rig();
    const server = await metered(parts, (_request, response) => response.end("fine"));
    expect((await ask(server.url)).headers["content-length"]).toBe("4");
  });

  it("records one event for each request of a connection that is kept alive, and of a pipeline", async () => {
    const parts = rig();
    const server = await metered(parts, (request, response) => {
      response.setHeader("X-Tokens-Used", request.url?.slice(1) ?? "");
      if (request.url === "/1") setImmediate(() => response.end("slow"));
      else response.end("quick");
    });
    const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
    await ask(`${server.url}/8`, { agent });
    await ask(`${server.url}/9`, { agent });
    agent.destroy();
    await rawAnswer(server.port, GET("/1") + GET("/2") + GET("/3", "Connection: close"));
    const values = parts.recorder.events.map((event) => event.response?.headers?.["x-tokens-used"]);
    expect(values.map(String).toSorted()).toEqual(["1", "2", "3", "8", "9"]);
    expect(parts.recorder.events.some((event) => event.aborted)).toBe(false);
  });

  it("records HEAD, 204, 304 and 404 as they are", async () => {
    const parts = rig({ capture: "all" });
    const server = await metered(parts, (request, response) => {
      response.statusCode = Number(request.url?.slice(1));
      response.end(response.statusCode === 404 ? "none" : "");
    });
    await ask(`${server.url}/200`, { method: "HEAD" });
    for (const status of [204, 304, 404]) await ask(`${server.url}/${status}`);
    expect(parts.recorder.events.map((event) => `${event.request?.method} ${event.response?.status}`)).toEqual([
      "HEAD 200",
      "GET 204",
      "GET 304",
      "GET 404",
    ]);
  });

  it("lets end() refuse its arguments without losing the answer that follows", async () => {
    const parts = rig();
    const server = await metered(parts, (_request, response) => {
      try {
        response.end(untyped({}));
      } catch {
        response.statusCode = 500;
        response.end("sorry");
      }
    });
    expect(await ask(server.url)).toMatchObject({ status: 500, body: "sorry" });
    expect(parts.recorder.events.map((event) => event.response?.status)).toEqual([500]);
  });

  it("lets a status that Node refuses be followed by another answer", async () => {
    const parts = rig();
    const server = await metered(parts, (_request, response) => {
      response.statusCode = 99;
      try {
        response.end();
      } catch {
        response.statusCode = 500;
        response.end();
      }
    });
    expect((await ask(server.url)).status).toBe(500);
    expect(parts.recorder.events.map((event) => event.response?.status)).toEqual([500]);
  });

  it("records an answer that ended before the middleware saw it", async () => {
    const parts = rig();
    const server = await serveForTest((request, response) => {
      response.setHeader("X-Tokens-Used", "7");
      response.end("fine");
      parts.middleware(request, response);
    });
    await ask(server.url);
    expect(parts.recorder.events).toMatchObject([{ response: { status: 200, headers: { "x-tokens-used": "7" } } }]);
    expect(parts.recorder.lines).toHaveLength(1);
  });

  it("leaves upgrades and CONNECT alone", async () => {
    const parts = rig();
    const server = await metered(parts, (_request, response) => response.end());
    server.server.on("upgrade", (_request, socket) =>
      socket.end("HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\nhello"),
    );
    server.server.on("connect", (_request, socket) => socket.end("HTTP/1.1 200 Connected\r\n\r\n"));
    expect(await rawAnswer(server.port, GET("/", "Connection: Upgrade", "Upgrade: x"))).toContain("hello");
    expect(await rawAnswer(server.port, "CONNECT a:1 HTTP/1.1\r\nHost: x\r\n\r\n")).toContain("Connected");
    expect(parts.recorder.lines).toEqual([]);
  });

  it("does not touch a stream of server-sent events", async () => {
    const parts = rig({}, { meters: [meterOf("values.tokens", { model: "response.body.model" })] });
    const server = await metered(parts, (request, response) => {
      response.writeHead(200, { "content-type": "text/event-stream" });
      response.write("data: 1\n\n");
      const { socket } = request;
      socket.once("data", () => undefined);
      setImmediate(() => {
        request.meter.add("tokens", 100);
        request.meter.add("tokens", "37");
        response.end("data: 2\n\n");
      });
    });
    const socket = await rawClient(server.port, GET("/", "Connection: close"));
    const [first]: Buffer[] = await once(socket, "data");
    expect(first?.toString()).toContain("data: 1");
    for await (const _ of socket);
    expect(parts.recorder.events).toMatchObject([
      { values: { tokens: "137" }, faults: { "response.body": "body_not_json" } },
    ]);
  });
});

describe("a client that leaves", () => {
  it("is an event marked aborted when the answer never ended", async () => {
    const parts = rig();
    const server = await metered(parts, (_request, response) => {
      response.writeHead(200, { "X-Tokens-Used": "7" });
      response.write("begin");
    });
    const socket = await rawClient(server.port, GET("/"));
    await once(socket, "data");
    socket.destroy();
    await parts.recorder.has(1);
    expect(parts.recorder.entries).toMatchObject([
      { event: { aborted: true, response: { status: 200, headers: { "x-tokens-used": "7" } } }, open: [] },
    ]);
    expect(parts.capture.stats()).toMatchObject({ observed: 1, recorded: 1, aborted: 1 });
  });

  it("has no status when it left before there was an answer, and a late end() adds no second event", async () => {
    const parts = rig();
    let late: () => void = nothing;
    const server = await metered(parts, (request, response) => {
      late = () => {
        request.meter.add("tokens", 5);
        response.end("too late");
      };
    });
    const socket = await rawClient(server.port, GET("/"));
    await once(server.server, "request");
    socket.resetAndDestroy();
    await parts.recorder.has(1);
    late();
    expect(parts.recorder.events).toMatchObject([{ aborted: true, response: {} }]);
    expect(parts.recorder.events[0]?.response).toEqual({});
    expect(parts.recorder.lines).toHaveLength(1);
    expect(parts.errors).toMatchObject([{ at: "req.meter.add", error: { code: "METER_TRACK_INVALID" } }]);
  });

  it.each(["reset", "close"])("after one byte of a large answer is counted once, and marked (%s)", async (how) => {
    const parts = rig();
    const server = await metered(parts, (_request, response) => response.end(Buffer.alloc(8_000_000)));
    const socket = await rawClient(server.port, GET("/"));
    await once(socket, "data");
    if (how === "reset") socket.resetAndDestroy();
    else socket.destroy();
    await parts.recorder.has(2);
    expect(parts.recorder.entries).toMatchObject([
      { event: { id: "e1" }, open: ["end"] },
      { amendment: { id: "e1", closes: "end", aborted: true } },
    ]);
    expect(parts.recorder.entries[0]?.event).not.toHaveProperty("aborted");
  });

  it("and one that stays closes the open end of a large answer", async () => {
    const parts = rig();
    const server = await metered(parts, (_request, response) => response.end(Buffer.alloc(300_000)));
    expect((await ask(server.url)).body).toHaveLength(300_000);
    await parts.recorder.has(2);
    expect(parts.recorder.amendments).toEqual([{ source: "meterbook/http", id: "e1", closes: "end", aborted: false }]);
  });

  it("while a small answer is written is told afterwards", async () => {
    const parts = rig();
    const server = await metered(parts, (request, response) => {
      response.end("small");
      // The answer is with the kernel or not; a socket torn down in the same tick cannot have delivered it.
      request.socket.destroy();
    });
    const socket = await rawClient(server.port, GET("/"));
    socket.resume();
    await once(socket, "close");
    await parts.recorder.has(2);
    expect(parts.recorder.amendments).toMatchObject([{ closes: "end", aborted: true }]);
  });
});

describe("durability power", () => {
  it("ends the response only when its line is on the disk", async () => {
    const parts = rig({}, { recorder: new ArrayRecorder({ durable: true }) });
    const server = await metered(parts, (_request, response) => {
      response.setHeader("X-Tokens-Used", "7");
      expect(response.end("fine")).toBe(response);
      response.end();
    });
    let isAnswered = false;
    const asked = ask(server.url).then((answer) => {
      isAnswered = true;
      return answer;
    });
    await parts.recorder.has(1);
    await new Promise((resolve) => setImmediate(resolve));
    expect(isAnswered).toBe(false);
    parts.recorder.waiting[0]?.();
    const answer = await asked;
    expect(answer).toMatchObject({
      status: 200,
      body: "fine",
      headers: { "content-length": "4", "x-tokens-used": "7" },
    });
    expect(parts.recorder.events).toMatchObject([{ response: { headers: { "x-tokens-used": "7" } } }]);
  });

  it("answers also when the disk refuses, and counts that", async () => {
    const parts = rig({}, { recorder: new ArrayRecorder({ durable: true }) });
    const server = await metered(parts, (_request, response) => {
      response.write("a");
      response.end("b");
    });
    const asked = ask(server.url);
    await parts.recorder.has(1);
    parts.recorder.waiting[0]?.(new Error("disk"));
    expect((await asked).body).toBe("ab");
    expect(parts.capture.stats()).toMatchObject({ recorded: 0, refused: 1 });
  });
});

describe("a recorder that refuses", () => {
  it("is counted and harms no response", async () => {
    const parts = rig();
    parts.recorder.refuses = true;
    const server = await metered(parts, (_request, response) => response.end("fine"));
    expect((await ask(server.url)).body).toBe("fine");
    expect(parts.capture.stats()).toMatchObject({ observed: 1, recorded: 0, refused: 1 });
  });
});
