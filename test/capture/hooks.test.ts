import { createHmac } from "node:crypto";
import type http from "node:http";

import { describe, expect, it } from "vitest";

import type { MeteredRequest, MeterOptions } from "../../src/capture/options.ts";
import { limits } from "../../src/engine/limits.ts";
import { meteredRequest, untyped, ask, meterOf, rig, serveForTest, type Rig } from "./rig.ts";

const nothing = (): void => undefined;
const thrower = (): never => {
  throw new Error("oops");
};

async function asked(
  parts: Rig,
  options: http.RequestOptions = {},
  handler: (request: MeteredRequest, response: http.ServerResponse) => void = (_request, response) =>
    void response.end("fine"),
): Promise<Rig> {
  const server = await serveForTest((request, response) => {
    parts.middleware(request, response);
    handler(meteredRequest(request), response);
  });
  expect((await ask(server.url, options)).body).toBe("fine");
  return parts;
}

describe("identifyCompany", () => {
  const answers: [string, unknown, object][] = [
    ["a text", "acme", { company: "acme" }],
    ["a number", 42, { company: "42" }],
    ["a bigint", 12_345_678_901_234_567_890n, { company: "12345678901234567890" }],
    ["{id, name}", { id: "acme", name: "Acme" }, { company: "acme" }],
    ["undefined", undefined, { company: null }],
    ["null", null, { company: null }],
    ["empty text", "", { company: null }],
    ["an object without id", { name: "x" }, { company: null, faults: { company: "identify_bad_type" } }],
    ["an empty id", { id: "" }, { company: null, faults: { company: "identify_bad_type" } }],
    ["a list", ["acme"], { company: null, faults: { company: "identify_bad_type" } }],
    ["a function", () => "acme", { company: null, faults: { company: "identify_bad_type" } }],
    ["a boolean", true, { company: null, faults: { company: "identify_bad_type" } }],
    ["a fraction", 0.5, { company: null, faults: { company: "identify_bad_type" } }],
    ["a control character", "a\u0000b", { company: null, faults: { company: "bad_identifier" } }],
    ["a lone surrogate", "\ud800", { company: null, faults: { company: "bad_identifier" } }],
    ["a long text", "x".repeat(257), { company: null, faults: { company: "bad_identifier" } }],
  ];

  it.each(answers)("answers %s", async (_, answer, expected) => {
    const parts = await asked(rig({ identifyCompany: () => answer }));
    expect(parts.recorder.entries).toMatchObject([{ event: expected, open: [] }]);
    const isFault = "faults" in expected;
    expect(parts.recorder.events[0]?.faults !== undefined).toBe(isFault);
    expect(parts.errors.length).toBe(isFault ? 1 : 0);
    expect(parts.notices.map(({ code }) => code)).toEqual(isFault ? ["METER_HOOK_FAILED"] : []);
  });

  it("holds the event and harms nothing when it throws", async () => {
    const options: MeterOptions = {
      identifyCompany: () => {
        throw new Error("oops");
      },
    };
    const parts = await asked(rig(options));
    expect(parts.recorder.events[0]).toMatchObject({ company: null, faults: { company: "identify_failed" } });
    expect(parts.errors).toMatchObject([
      { at: "identifyCompany", error: { code: "METER_HOOK_FAILED", cause: { message: "oops" } } },
    ]);
  });

  it("may be async: the event is written at once, the answer follows", async () => {
    let answer: (company: string) => void = nothing;
    const parts = await asked(
      rig({ identifyCompany: () => new Promise<string>((resolve) => (answer = resolve)), identifyUser: () => "u1" }),
    );
    expect(parts.recorder.entries).toMatchObject([{ event: { company: null, user: "u1" }, open: ["identity"] }]);
    expect(parts.capture.stats().pendingHooks).toBe(1);
    answer("acme");
    await parts.capture.pending();
    expect(parts.recorder.amendments).toEqual([
      { source: "meterbook/http", id: "e1", closes: "identity", company: "acme" },
    ]);
    expect(parts.capture.stats()).toMatchObject({ pendingHooks: 0, amendments: 1 });
  });

  it.each([
    ["rejects", (): unknown => Promise.reject(new Error("oops")), "identify_failed"],
    ["answers an object", (): unknown => Promise.resolve({}), "identify_bad_type"],
    ["answers an unclean text", (): unknown => Promise.resolve("a\nb"), "bad_identifier"],
  ])("holds the event when its promise %s", async (_, identifyCompany, reason) => {
    const parts = await asked(rig({ identifyCompany }));
    await parts.capture.pending();
    expect(parts.recorder.amendments).toMatchObject([{ closes: "identity", faults: { company: reason } }]);
  });

  it("holds the event when its promise takes too long, and ignores the late answer", async () => {
    const alarms: { delayMs: number; ring: () => void }[] = [];
    let answer: (company: string) => void = nothing;
    const after = (delayMs: number, ring: () => void) => {
      alarms.push({ delayMs, ring });
      return () => undefined;
    };
    const parts = await asked(
      rig({ identifyCompany: () => new Promise<string>((resolve) => (answer = resolve)) }, { after }),
    );
    expect(alarms.map(({ delayMs }) => delayMs)).toEqual([limits.hookTimeoutMs]);
    alarms[0]?.ring();
    await parts.capture.pending();
    answer("acme");
    expect(parts.recorder.amendments).toEqual([
      { source: "meterbook/http", id: "e1", closes: "identity", faults: { company: "identify_timeout" } },
    ]);
  });

  it("runs once, when the response ends", async () => {
    let calls = 0;
    let calledAt: boolean | null = null;
    const parts = rig({
      identifyCompany: (_request, response) => {
        calls++;
        calledAt = response.getHeader("x-ready") === "1";
        return "acme";
      },
    });
    await asked(parts, {}, (_request, response) => {
      expect(calls).toBe(0);
      response.setHeader("x-ready", "1");
      response.end("fine");
    });
    expect([calls, calledAt]).toEqual([1, true]);
  });
});

describe("identity in the settings", () => {
  it("takes the first path that gives a value, headers only because they are named", async () => {
    const identity = { companyId: ["request.user.companyId", "request.headers.X-Org"], userId: [] };
    const parts = await asked(rig({}, { identity }), { headers: { "x-org": "acme" } });
    expect(parts.recorder.events[0]).toMatchObject({ company: "acme", user: null });
  });

  it("refuses a header that was sent twice", async () => {
    const identity = { companyId: ["request.headers.x-org"], userId: [] };
    const parts = await asked(rig({}, { identity }), { headers: { "x-org": ["acme", "other"] } });
    expect(parts.recorder.events[0]).toMatchObject({ company: null, faults: { company: "identify_bad_type" } });
  });

  it("does not see inherited names", async () => {
    const identity = {
      companyId: ["request.constructor.name", "request.__proto__.x", "request.user.constructor.name"],
      userId: [],
    };
    const parts = rig({}, { identity });
    await asked(parts, {}, (request, response) => {
      Object.assign(request, { user: {} });
      response.end("fine");
    });
    expect(parts.recorder.events[0]).toMatchObject({ company: null });
    expect(parts.recorder.events[0]).not.toHaveProperty("faults");
  });

  it("asks the paths after an async hook that found nobody", async () => {
    const identity = { companyId: ["hook", "request.org"], userId: [] };
    const parts = rig({ identifyCompany: async () => undefined }, { identity });
    await asked(parts, {}, (request, response) => {
      Object.assign(request, { org: "acme" });
      response.end("fine");
    });
    await parts.capture.pending();
    expect(parts.recorder.amendments).toMatchObject([{ company: "acme" }]);
  });

  it("calls a hook that is not listed first", async () => {
    const parts = rig({ identifyCompany: () => "hooked" }, { identity: { companyId: ["request.org"], userId: [] } });
    await asked(parts, {}, (request, response) => {
      Object.assign(request, { org: "acme" });
      response.end("fine");
    });
    expect(parts.recorder.events[0]?.company).toBe("hooked");
  });

  it("reads a body that no parser read", async () => {
    const parts = rig({}, { identity: { companyId: ["request.body.org"], userId: [] } });
    const server = await serveForTest((request, response) => {
      parts.middleware(request, response);
      request.resume().on("end", () => response.end());
    });
    await ask(server.url, { method: "POST", body: '{"org":"acme"}' });
    expect(parts.recorder.events[0]?.company).toBe("acme");
  });
});

describe("the other hooks", () => {
  it("keep metadata, the session's keyed hash and the API version", async () => {
    const parts = await asked(
      rig({
        getMetadata: () => ({ model: "m", big: 9_007_199_254_740_993n }),
        getSessionToken: () => "s3cret",
        getApiVersion: () => "v2",
      }),
    );
    const sessionToken = createHmac("sha256", new Uint8Array(32).fill(7)).update("s3cret").digest("hex").slice(0, 32);
    expect(parts.recorder.events[0]).toMatchObject({
      metadata: { model: "m", big: "9007199254740993" },
      sessionToken,
      apiVersion: "v2",
    });
    expect(parts.recorder.lines.join("")).not.toContain("s3cret");
  });

  it("see res.locals at the end of a stream", async () => {
    const parts = rig({ getMetadata: (_request, response) => Reflect.get(response, "locals") });
    await asked(parts, {}, (_request, response) => {
      response.write("fi");
      Object.assign(response, { locals: { tokens: 137 } });
      response.end("ne");
    });
    expect(parts.recorder.events[0]?.metadata).toEqual({ tokens: 137 });
  });

  it("put metadata that was promised into the amendment", async () => {
    const parts = await asked(rig({ identifyCompany: () => "acme", getMetadata: async () => ({ model: "m" }) }));
    await parts.capture.pending();
    expect(parts.recorder.entries).toMatchObject([
      { event: { company: "acme" }, open: ["identity"] },
      { amendment: { closes: "identity", metadata: { model: "m" } } },
    ]);
  });

  it("fault metadata that has no JSON or is too large", async () => {
    const circle: Record<string, unknown> = {};
    circle["self"] = circle;
    for (const [metadata, reason] of [
      [circle, "field_error"],
      [() => 1, "field_error"],
      ["x".repeat(limits.bodyBytesMax), "body_too_large"],
    ] as const) {
      const parts = await asked(rig({ getMetadata: () => metadata }));
      expect(parts.recorder.events[0]?.faults).toEqual({ metadata: reason });
    }
  });

  it("never reach the request when they throw", async () => {
    const parts = await asked(
      rig({
        getMetadata: thrower,
        getSessionToken: thrower,
        getApiVersion: thrower,
        skip: thrower,
        identifyUser: thrower,
        maskContent: thrower,
        onEvent: thrower,
      }),
    );
    expect(parts.recorder.events).toHaveLength(1);
    expect(parts.errors.map(({ at }) => at).toSorted()).toEqual([
      "getApiVersion",
      "getMetadata",
      "getSessionToken",
      "identifyUser",
      "maskContent",
      "onEvent",
      "skip",
    ]);
  });

  it("survive an onError that throws", async () => {
    const parts = rig({
      identifyCompany: () => [],
      onError: () => {
        throw new Error("oops");
      },
    });
    await asked(parts);
    expect(parts.capture.stats()).toMatchObject({ recorded: 1, errors: 1 });
  });
});

describe("leaving out", () => {
  it("skips by option and by request, and counts it", async () => {
    const byOption = await asked(rig({ skip: (request) => request.url === "/" }));
    const byRequest = await asked(rig(), {}, (request, response) => {
      request.meter.skip();
      response.end("fine");
    });
    for (const parts of [byOption, byRequest]) {
      expect(parts.recorder.lines).toEqual([]);
      expect(parts.capture.stats()).toMatchObject({ observed: 1, skipped: 1, recorded: 0 });
    }
  });

  it("excludes health checks, and gives their handlers a meter that does nothing", async () => {
    const parts = rig();
    const server = await serveForTest((request, response) => {
      parts.middleware(request, response);
      meteredRequest(request).meter.add("x", 1);
      meteredRequest(request).meter.route = "/x";
      response.end();
    });
    for (const path of ["/healthz", "/health", "/healthy", "/health/records"]) await ask(server.url + path);
    expect(parts.recorder.events.map((event) => event.request?.path)).toEqual(["/healthy", "/health/records"]);
    expect(parts.capture.stats().excluded).toBe(2);
  });

  it("is off when it is not enabled", async () => {
    const parts = await asked(rig({ enabled: false }));
    expect(parts.recorder.lines).toEqual([]);
  });
});

describe("req.meter.add", () => {
  it("adds up exactly", async () => {
    const parts = rig({}, { meters: [meterOf("values.tokens")] });
    await asked(parts, {}, (request, response) => {
      for (const amount of [0.1, 0.2, "0.3", 1n]) request.meter.add("tokens", amount);
      request.meter.add("__proto__", 1);
      response.end("fine");
    });
    expect(parts.recorder.lines[0]).toContain('"values":{"tokens":"1.6","__proto__":"1"}');
  });

  it.each([["seven"], [Number.NaN], [Number.POSITIVE_INFINITY], [null], [{}], ["1,5"], [2 ** 53]])(
    "holds %s, and tells",
    async (amount) => {
      const parts = rig({}, { meters: [meterOf("values.tokens")] });
      await asked(parts, {}, (request, response) => {
        request.meter.add("tokens", 5);
        request.meter.add("tokens", untyped(amount));
        request.meter.add("tokens", 5);
        response.end("fine");
      });
      expect(Object.keys(parts.recorder.events[0]?.faults ?? {})).toEqual(["values.tokens"]);
      expect(parts.recorder.events[0]?.values).toEqual({});
      expect(parts.errors).toMatchObject([{ at: "req.meter.add", error: { code: "METER_TRACK_INVALID" } }]);
    },
  );

  it("is told when it comes too late, or without a name, or too often", async () => {
    const parts = rig();
    await asked(parts, {}, (request, response) => {
      request.meter.add(untyped(""), 1);
      for (let at = 0; at <= limits.addedValuesMax; at++) request.meter.add(`n${at}`, 1);
      response.end("fine");
      request.meter.add("late", 1);
    });
    expect(parts.errors.map(({ error }) => String(error))).toMatchObject(
      [/expected a name/, /more than 100 names/, /has ended/].map((text) => expect.stringMatching(text)),
    );
    expect(parts.recorder.events[0]?.faults).toEqual({ values: "not_a_number" });
  });
});
