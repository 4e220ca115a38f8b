import { EventEmitter, once } from "node:events";
import http from "node:http";
import net from "node:net";

import express from "express";
import express4 from "express4";
import { describe, expect, it } from "vitest";

import { limits } from "../../src/engine/limits.ts";
import { route, type Reply, type Route } from "../../src/server/route.ts";
import { echo, rawCall } from "./echo.ts";
import { startServer } from "./rig.ts";

const answering = (path: string, reply: () => Promise<Reply>): Route =>
  route({ method: "get", path, access: "open", tag: "test", summary: "Answers", answers: {}, reply });

/** A promise that a test settles. */
function gate(): { readonly opened: Promise<void>; readonly open: () => void } {
  const opening = new EventEmitter();
  const opened = once(opening, "open").then(() => undefined);
  return { opened, open: () => void opening.emit("open") };
}

async function* broken(): AsyncGenerator<string> {
  yield "first";
  throw new Error("disk");
}

describe("an answer", () => {
  it("of which nothing is taken is given up after a time, and its connection with it", async () => {
    const responses: http.ServerResponse[] = [];
    const large = answering("/large", async () => ({
      status: 200,
      body: Buffer.alloc(30_000_000),
      contentType: "x/y",
    }));
    const { port } = await startServer({
      routes: [large],
      mount: (router) => (request, response) => {
        responses.push(response);
        router(request, response);
      },
    });
    const caller = net.connect(port, "127.0.0.1");
    caller.on("error", () => undefined);
    caller.write("GET /large HTTP/1.1\r\nhost: x\r\n\r\n");
    await once(caller, "readable");
    const [response] = responses;
    expect(response?.socket?.timeout).toBe(limits.httpAnswerIdleMs);
    response?.socket?.emit("timeout");
    expect([response?.destroyed, response?.writableFinished]).toEqual([true, false]);
    caller.destroy();
  });

  it("is kept by nobody, guessed at by nobody, and runs nothing", async () => {
    const { url } = await startServer();
    for (const path of ["/healthz", "/nowhere", "/openapi.json", "/"]) {
      const { headers } = await fetch(`${url}${path}`);
      expect(headers.get("x-content-type-options")).toBe("nosniff");
      expect(headers.get("cache-control")).toBe("no-store");
      expect(headers.get("content-security-policy")).toContain("default-src 'none'");
      expect(headers.get("x-powered-by")).toBeNull();
      expect(headers.get("access-control-allow-origin")).toBeNull();
    }
  });

  it("to HEAD has the headers of GET, and no body", async () => {
    const { port, url } = await startServer();
    const text = await (await fetch(`${url}/`)).text();
    const answer = await rawCall(port, "HEAD / HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n");
    expect(answer.toLowerCase()).toContain(`content-length: ${Buffer.byteLength(text)}`);
    expect(answer.endsWith("\r\n\r\n")).toBe(true);
  });

  it("in chunks is written no faster than it is read", async () => {
    let made = 0;
    const left = gate();
    async function* chunks(): AsyncGenerator<string> {
      try {
        for (; made < 10_000; made += 1) yield "x".repeat(64 * 1024);
      } finally {
        left.open();
      }
    }
    const { port } = await startServer({
      routes: [answering("/long", async () => ({ status: 200, chunks: chunks(), contentType: "text/plain" }))],
    });
    const socket = net.connect(port, "127.0.0.1");
    socket.write("GET /long HTTP/1.1\r\nhost: localhost\r\n\r\n");
    await once(socket, "readable");
    socket.destroy();
    // The source is ended when nobody reads it any more; it had not run ahead to its end.
    await left.opened;
    expect(made).toBeLessThan(5_000);
  });

  it("that breaks off in its middle does not look whole", async () => {
    const { url, logged } = await startServer({
      routes: [answering("/half", async () => ({ status: 200, chunks: broken() }))],
    });
    const read = async (): Promise<string> => (await fetch(`${url}/half`)).text();
    await expect(read()).rejects.toThrow(/fetch failed|terminated/);
    expect(logged).toHaveLength(1);
  });

  it("is told to who keeps logs and metrics, without what was sent", async () => {
    const told: object[] = [];
    const { url } = await startServer({ routes: [echo], onAnswer: (call) => void told.push(call) });
    await fetch(`${url}/echo?x=secret`, {
      method: "POST",
      body: '"secret"',
      headers: { "content-type": "application/json" },
    });
    await fetch(`${url}/secret`);
    expect(told).toEqual([
      { method: "POST", route: "/echo", author: "local", bytes: 8, status: 200, durationMs: 0 },
      { method: "GET", route: null, author: null, bytes: 0, status: 404, durationMs: 0 },
    ]);
  });
});

describe("closing", () => {
  it("takes nothing further and waits for what is under way", async () => {
    const { opened, open } = gate();
    const began = gate();
    const slow = answering("/slow", async () => {
      began.open();
      await opened;
      return { status: 200, body: "done" };
    });
    const { url, router } = await startServer({ routes: [slow] });
    const underWay = fetch(`${url}/slow`);
    await began.opened;
    let isClosed = false;
    const closed = router.close().then(() => (isClosed = true));
    const refused = await fetch(`${url}/healthz`);
    expect([refused.status, refused.headers.get("retry-after")]).toEqual([503, "1"]);
    expect(isClosed).toBe(false);
    open();
    expect(await (await underWay).json()).toBe("done");
    await closed;
  });

  it("comes at once when nothing is under way", async () => {
    const { router } = await startServer();
    expect(await Promise.all([router.close(), router.close()])).toEqual([undefined, undefined]);
  });
});

describe("calls under way", () => {
  it("are bounded: one too many is refused, and taken later", async () => {
    const { opened, open } = gate();
    const full = gate();
    let count = 0;
    const slow = answering("/slow", async () => {
      count += 1;
      if (count === limits.httpCallsMax) full.open();
      await opened;
      return { status: 204 };
    });
    const { url, port } = await startServer({ routes: [slow] });
    const agent = new http.Agent({ maxSockets: Infinity });
    const calls = Array.from({ length: limits.httpCallsMax }, async () => {
      const call = http.get({ port, host: "127.0.0.1", path: "/slow", agent });
      const [response]: http.IncomingMessage[] = await once(call, "response");
      response?.resume();
      return response?.statusCode;
    });
    await full.opened;
    expect((await fetch(`${url}/healthz`)).status).toBe(503);
    open();
    expect(new Set(await Promise.all(calls))).toEqual(new Set([204]));
    expect((await fetch(`${url}/healthz`)).status).toBe(200);
    agent.destroy();
  });
});

describe("the router", () => {
  it.each([
    ["Express 5", () => express()],
    ["Express 4", () => express4()],
  ])("is mounted in %s below a path, and leaves the others alone", async (_, make) => {
    const { url } = await startServer({
      routes: [echo],
      mount: (router) => {
        const app = make();
        app.get("/hello", (_request, response) => void response.send("hello"));
        app.use("/meterbook", router);
        return app;
      },
    });
    expect(await (await fetch(`${url}/hello`)).text()).toBe("hello");
    const response = await fetch(`${url}/meterbook/healthz`);
    expect(await response.json()).toEqual({ alive: true });
    expect(response.headers.get("x-powered-by")).toBeNull();
    expect((await fetch(`${url}/meterbook`)).status).toBe(200);
    const sent = { method: "POST", body: "[1]", headers: { "content-type": "application/json" } };
    expect(await (await fetch(`${url}/meterbook/echo?`, sent)).json()).toEqual({ author: "local", body: [1] });
    expect((await fetch(`${url}/meterbook/nowhere`)).headers.get("content-type")).toBe("application/problem+json");
  });

  it("has a base path of its own for plain node:http", async () => {
    const { url, port } = await startServer({ basePath: "/api/meter" });
    expect((await fetch(`${url}/api/meter/healthz`)).status).toBe(200);
    expect((await fetch(`${url}/api/meter`)).status).toBe(200);
    for (const path of ["/healthz", "/api/meterhealthz", "/api"]) expect((await fetch(url + path)).status).toBe(404);
    const absolute = "GET http://localhost/api/meter/healthz HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";
    expect(await rawCall(port, absolute)).toMatch(/^HTTP\/1\.1 200 /);
  });
});
