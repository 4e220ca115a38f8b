import http from "node:http";
import { Duplex } from "node:stream";

import express5 from "express";
import express4 from "express4";
import { describe, expect, it } from "vitest";

import { isDeeper } from "../../src/capture/json-text.ts";
import { inertMeter } from "../../src/capture/metered-request.ts";
import type { MeterOptions } from "../../src/capture/options.ts";
import { limits } from "../../src/engine/limits.ts";
import { ArrayRecorder, ask, meteredRequest, meterOf, rig, serveForTest, untyped, type Rig } from "./rig.ts";

async function answered(parts: readonly Rig[], path = "/", options: Parameters<typeof ask>[1] = {}): Promise<void> {
  const server = await serveForTest((request, response) => {
    for (const { middleware } of parts) middleware(request, response);
    meteredRequest(request).meter.add("tokens", 2);
    meteredRequest(request).meter.route = "/hinted";
    request.resume().on("end", () => response.setHeader("X-Tokens-Used", "7").end("fine"));
  });
  expect((await ask(server.url + path, options)).body).toBe("fine");
}

const rejecting = (): Promise<never> => Promise.reject(new Error("oops"));

describe("hooks that reject", () => {
  const hooks: [string, MeterOptions, string[]][] = [
    ["onEvent", untyped({ onEvent: rejecting }), ["onEvent"]],
    ["maskContent", untyped({ maskContent: rejecting }), ["maskContent"]],
    ["skip", untyped({ skip: rejecting }), ["skip"]],
    ["getSessionToken", { getSessionToken: rejecting }, ["getSessionToken"]],
  ];
  it.each(hooks)("harm nothing: %s", async (_, options, at) => {
    const rejections: unknown[] = [];
    const note = (reason: unknown): void => void rejections.push(reason);
    process.on("unhandledRejection", note);
    const parts = rig(options);
    await answered([parts]);
    await new Promise((resolve) => setImmediate(resolve));
    process.off("unhandledRejection", note);
    expect(rejections).toEqual([]);
    expect(parts.recorder.events).toHaveLength(1);
    expect(parts.errors.map((error) => error.at)).toEqual(at);
  });

  it("harm nothing: onError", async () => {
    const parts = rig(untyped({ identifyCompany: () => [], onError: rejecting }));
    await answered([parts]);
    expect(parts.capture.stats()).toMatchObject({ recorded: 1, errors: 1 });
  });
});

it.each([[async () => true], [() => "yes"], [() => 1], [() => undefined]])(
  "skip() that answers neither true nor false is told, and the event recorded: %s",
  async (skip) => {
    const parts = rig(untyped({ skip }));
    await answered([parts]);
    expect(parts.capture.stats()).toMatchObject({ recorded: 1, skipped: 0 });
    expect(parts.notices).toMatchObject([
      {
        code: "METER_HOOK_FAILED",
        text: expect.stringMatching(/^skip: expected true or false.*The event is recorded;/),
      },
    ]);
  },
);

describe("two captures on one request", () => {
  it("of which the first leaves it alone: the second records", async () => {
    const first = rig({ include: ["/a"] });
    const second = rig({ include: ["/b"] });
    await answered([first, second], "/b");
    await answered([first, second], "/a");
    expect(first.recorder.events.map((event) => event.request?.path)).toEqual(["/a"]);
    expect(second.recorder.events.map((event) => event.request?.path)).toEqual(["/b"]);
    expect(first.recorder.events[0]?.values).toEqual({ tokens: "2" });
    expect(second.recorder.events[0]?.values).toEqual({ tokens: "2" });
    expect([...first.notices, ...second.notices]).toEqual([]);
  });

  it("of one book, or of books that are not known: the first alone records, and it is told", async () => {
    for (const [one, other] of [
      ["a", "a"],
      ["a", undefined],
      [undefined, undefined],
    ] as const) {
      const first = rig({}, one === undefined ? {} : { book: one });
      const second = rig({}, other === undefined ? {} : { book: other });
      await answered([first, second]);
      expect([first.recorder.lines.length, second.recorder.lines.length]).toEqual([1, 0]);
      expect(second.notices).toMatchObject([{ code: "METER_MOUNTED_TWICE" }]);
    }
  });

  it("of two books: both record all of it", async () => {
    for (const stripHeaders of [[], ["X-Tokens-Used"]]) {
      const parts = ["a", "b"].map((book) => rig({ stripHeaders }, { book }));
      await answered(parts);
      for (const { recorder, notices, capture } of parts) {
        expect(recorder.events).toMatchObject([
          {
            values: { tokens: "2" },
            request: { route: "/hinted" },
            response: { status: 200, headers: { "x-tokens-used": "7" } },
          },
        ]);
        expect(notices).toEqual([]);
        expect(capture.stats()).toMatchObject({ observed: 1, recorded: 1, errors: 0 });
      }
    }
  });

  it("mounted twice itself: once, and told", async () => {
    const parts = rig();
    await answered([parts, parts]);
    expect(parts.recorder.lines).toHaveLength(1);
    expect(parts.notices).toMatchObject([{ code: "METER_MOUNTED_TWICE" }]);
  });
});

it("includes in any case, and excludes in exactly one", async () => {
  const parts = rig({ include: ["/v1", "/Glob/*/x"], exclude: ["/v1/no"] });
  for (const path of ["/V1/x", "/v1", "/glob/1/X", "/v1/no", "/V1/no", "/v2"]) await answered([parts], path);
  expect(parts.recorder.events.map((event) => event.request?.path)).toEqual(["/V1/x", "/v1", "/glob/1/X", "/V1/no"]);
});

describe("an event that cannot be built", () => {
  it("is kept with what is known, held, and told once", async () => {
    const parts = rig({}, { meters: [meterOf("request.query.n")] });
    const server = await serveForTest((request, response) => {
      parts.middleware(request, response);
      Object.defineProperty(request, "rawHeaders", { value: null });
      Reflect.defineProperty(request, "originalUrl", { get: () => untyped(7) });
      response.statusCode = 201;
      response.end("fine");
    });
    for (const path of ["/a?n=1", "/b?n=1"]) expect((await ask(server.url + path)).body).toBe("fine");
    expect(parts.recorder.events).toMatchObject([
      {
        id: "e2",
        company: null,
        request: { method: "GET", path: "/a" },
        response: { status: 201 },
        faults: { company: "capture_failed", "response.headers": "capture_failed", values: "capture_failed" },
      },
      { request: { path: "/b" } },
    ]);
    expect(parts.notices.map(({ code }) => code)).toEqual(["METER_CAPTURE_FAILED"]);
    expect(parts.errors.map(({ at }) => at)).toEqual(["record", "record"]);
    expect(parts.capture.inFlight()).toBe(0);
  });

  it("is built for a request without a connection", () => {
    const parts = rig();
    const request = new http.IncomingMessage(untyped(null));
    Object.assign(request, { method: "GET", url: "/x" });
    const response = new http.ServerResponse(request);
    const sink: unknown = new Duplex({ read: () => undefined, write: (_chunk, _encoding, done) => done() });
    response.assignSocket(untyped(sink));
    parts.middleware(request, response);
    response.setHeader("X-Tokens-Used", "5").end("fine");
    expect(parts.recorder.events).toMatchObject([{ response: { status: 200, headers: { "x-tokens-used": "5" } } }]);
    expect(parts.errors).toEqual([]);
  });
});

const nested = (depth: number): string => `${"[".repeat(depth)}${"]".repeat(depth)}`;

describe("JSON that is nested too deep", () => {
  it("is measured outside of texts", () => {
    expect(isDeeper(nested(64), 64)).toBe(false);
    expect(isDeeper(nested(65), 64)).toBe(true);
    const texts = `{"a\\\\":"${"[".repeat(200)}\\"${"{".repeat(200)}"}`;
    expect(isDeeper(texts, 64)).toBe(false);
    expect(isDeeper(`[${"[],".repeat(100)}[]]`, 2)).toBe(false);
  });

  it.each([limits.jsonDepthMax, 40_000])("is not kept: %s", async (depth) => {
    const parts = rig({ capture: "all" }, { meters: [meterOf("request.body.a")] });
    const body = `{"a":${nested(depth)},"b":1}`;
    await answered([parts], "/", { method: "POST", body });
    expect(parts.recorder.events[0]?.faults).toEqual({ "request.body": "body_too_deep" });
    expect(parts.recorder.events[0]?.request).not.toHaveProperty("body");
  });

  it("holds metadata, and is refused by track()", async () => {
    const metadata: unknown = JSON.parse(nested(65));
    const parts = rig({ getMetadata: () => metadata });
    await answered([parts]);
    expect(parts.recorder.events[0]?.faults).toEqual({ metadata: "body_too_deep" });
    expect(() => parts.capture.track("x", { metadata })).toThrow(/within one another/);
  });
});

it("knows what is in flight, and when nothing is", async () => {
  const parts = rig();
  let end: (() => void) | null = null;
  const server = await serveForTest((request, response) => {
    parts.middleware(request, response);
    end = () => void response.end("fine");
    server.server.emit("asked");
  });
  const asked = new Promise((resolve) => server.server.once("asked", resolve));
  const answer = ask(server.url);
  await asked;
  expect(parts.capture.inFlight()).toBe(1);
  let isSettled = false;
  const settled = parts.capture.settled().then(() => (isSettled = true));
  await new Promise((resolve) => setImmediate(resolve));
  expect(isSettled).toBe(false);
  const endNow: () => void = untyped(end);
  endNow();
  await settled;
  expect(parts.capture.inFlight()).toBe(0);
  expect((await answer).body).toBe("fine");
});

it("has a meter that does nothing", () => {
  const meter = inertMeter();
  meter.add("tokens", 1);
  meter.skip();
  meter.route = "/x";
  expect(meter.route).toBe("/x");
});

describe.each([
  ["Express 5", express5],
  ["Express 4", express4],
])("durability power under %s", (name, express) => {
  it("lets handlers go on after the answer, or fail", async () => {
    const recorder = new ArrayRecorder({ durable: true });
    const parts = rig({}, { recorder });
    const seen: boolean[] = [];
    const app = express();
    app.set("env", "test");
    app.use(parts.middleware);
    app.get("/next", (_request, response, next) => {
      response.send("first");
      next();
    });
    app.get("/throws", async (_request, response, next) => {
      response.send("sent");
      if (name === "Express 4") return next(new Error("afterwards"));
      throw new Error("afterwards");
    });
    app.use((_request, response) => {
      seen.push(response.writableEnded);
      if (!response.writableEnded) response.end("second");
    });
    const server = await serveForTest(app);
    for (const [at, [path, body]] of [["/next", "first"] as const, ["/throws", "sent"] as const].entries()) {
      const answer = ask(server.url + path);
      await recorder.has(at + 1);
      setImmediate(() => recorder.waiting[at]?.());
      expect(await answer).toMatchObject({ status: 200, body });
    }
    expect(seen).toEqual([true]);
    expect(recorder.events).toHaveLength(2);
  });
});
