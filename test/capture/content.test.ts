import type http from "node:http";

import { describe, expect, it } from "vitest";

import type { MeteredRequest, MeterOptions } from "../../src/capture/options.ts";
import { limits } from "../../src/engine/limits.ts";
import { meteredRequest, ask, meterOf, rig, serveForTest, tokensMeter, type Rig } from "./rig.ts";

type Handler = (request: MeteredRequest, response: http.ServerResponse) => void;
const echo: Handler = (request, response) => void request.resume().on("end", () => response.end("fine"));

async function asked(
  parts: Rig,
  options: http.RequestOptions & { body?: string } = {},
  handler: Handler = echo,
): Promise<Rig> {
  const server = await serveForTest((request, response) => {
    parts.middleware(request, response);
    handler(meteredRequest(request), response);
  });
  await ask(`${server.url}/chat`, options);
  return parts;
}

const bodyMeter = [meterOf("request.body.n", { model: "response.body.model" })];
const send =
  (body: string | Uint8Array, contentType = "application/json"): Handler =>
  (_request, response) => {
    response.setHeader("content-type", contentType);
    response.end(body);
  };

describe("bodies", () => {
  it("keep the digits that a double would lose", async () => {
    const parts = await asked(rig({}, { meters: bodyMeter }), { method: "POST", body: '{"n":9007199254740993}' });
    expect(parts.recorder.events[0]?.request?.body).toEqual({ n: "9007199254740993" });
  });

  it("are not kept when no meter reads them", async () => {
    const parts = await asked(rig(), { method: "POST", body: '{"n":1}' });
    expect(parts.recorder.events[0]?.request).not.toHaveProperty("body");
  });

  it.each([
    ["too large", `{"n":"${"x".repeat(100)}"}`, "body_too_large"],
    ["no JSON", "n=1", "body_not_json"],
    ["cut short", '{"n":1', "body_not_json"],
    ["not UTF-8", Buffer.from([0x22, 0xff, 0x22]).toString("latin1"), "body_not_json"],
  ])("are faults when they are %s", async (_, body, reason) => {
    const parts = await asked(rig({ requestMaxBodySize: 50 }, { meters: bodyMeter }), { method: "POST", body });
    const isLatin = body.includes("\u00ff");
    expect(parts.recorder.events[0]?.faults?.["request.body"]).toBe(isLatin ? undefined : reason);
  });

  it("that nobody reads are not read for the meter either", async () => {
    const parts = await asked(
      rig({}, { meters: bodyMeter }),
      { method: "POST", body: `{"n":${"1".repeat(80_000)}}` },
      (_request, response) => response.end("fine"),
    );
    expect(parts.recorder.events[0]?.faults).toHaveProperty(["request.body"], "body_not_json");
  });

  it("of the response are read from chunks of any kind, and copied", async () => {
    const parts = await asked(rig({}, { meters: bodyMeter }), {}, (_request, response) => {
      const buffer = Buffer.from('{"mo');
      response.write(buffer, () => {
        buffer.fill("x");
        response.write("64656c", "hex");
        response.write(new Uint8Array(Buffer.from('":"ü')));
        response.end('","other":1}', "latin1");
      });
    });
    expect(parts.recorder.events[0]?.response?.body).toEqual({ model: "ü" });
  });

  it("of other kinds than JSON are faults without being kept", async () => {
    const parts = await asked(rig({}, { meters: bodyMeter }), {}, send("<p>", "text/html"));
    expect(parts.recorder.events[0]?.faults).toEqual({ "response.body": "body_not_json" });
  });

  it("of HEAD are none", async () => {
    const parts = await asked(rig({}, { meters: bodyMeter }), { method: "HEAD" }, send('{"model":"m"}'));
    expect(parts.recorder.events[0]).not.toHaveProperty("faults");
  });

  it("too large for a line are left out, and what reads them is held", async () => {
    const metadata = "m".repeat(90_000);
    const options: MeterOptions = {
      capture: "all",
      responseMaxBodySize: limits.lineBytesMax,
      getMetadata: () => metadata,
    };
    const parts = await asked(
      rig(options, { meters: bodyMeter }),
      {},
      send(JSON.stringify({ model: "m", text: "x".repeat(limits.lineBytesMax - 100) })),
    );
    expect(Buffer.byteLength(parts.recorder.lines[0] ?? "")).toBeLessThan(1000);
    expect(parts.recorder.events[0]?.faults).toEqual({
      "request.body": "body_too_large",
      "response.body": "body_too_large",
      metadata: "body_too_large",
    });
  });
});

describe("capture", () => {
  const headers = {
    Authorization: "Bearer s3cret",
    Cookie: "a=s3cret",
    "X-Api-Key": "s3cret",
    "X-Plain": "p",
    "X-Token-Count": "5",
  };

  it('"headers" keeps all headers, secrets by exact name as [redacted]', async () => {
    const parts = await asked(
      rig({ capture: "headers", redact: { headers: ["X-Plain"] } }),
      { headers },
      (_request, response) => {
        response.setHeader("Set-Cookie", ["a=s3cret", "b=s3cret"]);
        response.setHeader("X-Tokens-Used", "7");
        response.end("fine");
      },
    );
    const [event] = parts.recorder.events;
    expect(event?.request?.headers).toMatchObject({
      authorization: "[redacted]",
      cookie: "[redacted]",
      "x-api-key": "[redacted]",
      "x-plain": "[redacted]",
      "x-token-count": "5",
    });
    expect(event?.response?.headers).toMatchObject({ "set-cookie": "[redacted]", "x-tokens-used": "7" });
    expect(parts.recorder.lines.join("")).not.toContain("s3cret");
  });

  it('"all" keeps bodies too, as JSON or text', async () => {
    const parts = await asked(
      rig({ capture: "all" }),
      { method: "POST", body: '{"a":1}' },
      (request, response) => void request.resume().on("end", () => send("<p>", "text/html")(request, response)),
    );
    expect(parts.recorder.events[0]).toMatchObject({ request: { body: { a: 1 } }, response: { body: "<p>" } });
    expect(parts.recorder.events[0]).not.toHaveProperty("faults");
  });

  it("keeps a header that a meter names, whatever is redacted, and says so at start", async () => {
    const parts = await asked(rig({ redact: { headers: ["X-Tokens-Used"] } }), {}, (_request, response) =>
      response.writeHead(200, { "X-Tokens-Used": "7" }).end("fine"),
    );
    expect(parts.recorder.events[0]?.response?.headers).toEqual({ "x-tokens-used": "7" });
    expect(parts.notices).toMatchObject([
      { code: "METER_MASKED_VALUE", text: expect.stringContaining("response.headers.x-tokens-used") },
    ]);
  });

  it("keeps a named header for tracing", async () => {
    const parts = await asked(rig({ requestId: "X-Request-Id" }), { headers: { "x-request-id": "r1" } });
    expect(parts.recorder.events[0]).toMatchObject({ id: "e1", request: { headers: { "x-request-id": "r1" } } });
  });
});

/** Hides an address, and tries what it must not. */
const meddle: NonNullable<MeterOptions["maskContent"]> = (event) => ({
  ...event,
  company: "other",
  metadata: { plan: "?" },
  request: { ...event.request, path: "/masked" },
  response: { ...event.response, headers: { "x-tokens-used": "0" } },
});
const thrower = (): never => {
  throw new Error("oops");
};
const quiet = (): void => undefined;

describe("masking", () => {
  it("gets a copy of the whole event, and cannot change what meters read", async () => {
    const live = { email: "a@b", plan: "pro" };
    const options: MeterOptions = { identifyCompany: () => "acme", getMetadata: () => live, maskContent: meddle };
    const parts = await asked(
      rig(options, { meters: [tokensMeter, { ...tokensMeter, groupBy: { plan: "metadata.plan" } }] }),
      {},
      (_request, response) => response.writeHead(200, { "X-Tokens-Used": "7" }).end("fine"),
    );
    expect(parts.recorder.events[0]).toMatchObject({
      company: "acme",
      metadata: { plan: "pro" },
      request: { path: "/masked" },
      response: { headers: { "x-tokens-used": "7" } },
    });
    expect(parts.recorder.events[0]?.metadata).not.toHaveProperty("email");
    expect(live).toEqual({ email: "a@b", plan: "pro" });
    expect(parts.notices).toMatchObject([
      { code: "METER_MASKED_VALUE", text: expect.stringContaining("response.headers.x-tokens-used") },
    ]);
  });

  it("may change its copy in place", async () => {
    const parts = await asked(
      rig({
        getMetadata: () => ({ email: "a@b" }),
        maskContent: (event) => void Object.assign(event, { metadata: null }),
      }),
    );
    expect(parts.recorder.events[0]?.metadata).toBeNull();
  });

  it("that fails leaves only what meters need", async () => {
    const parts = await asked(
      rig({ capture: "all", getMetadata: () => ({ email: "a@b" }), maskContent: thrower }),
      { headers: { "x-private": "p" } },
      (_request, response) => response.writeHead(200, { "X-Tokens-Used": "7" }).end("secret"),
    );
    expect(parts.recorder.events[0]).toMatchObject({ response: { headers: { "x-tokens-used": "7" } } });
    expect(parts.recorder.lines.join("")).not.toMatch(/secret|a@b|x-private/);
  });

  it("replaces redacted paths", async () => {
    const parts = await asked(
      rig({
        capture: "all",
        redact: { paths: ["request.body.card.number", "metadata.email", "request.body.missing"] },
        getMetadata: () => ({ email: "a@b" }),
      }),
      { method: "POST", body: '{"card":{"number":"4242","year":30}}' },
    );
    expect(parts.recorder.events[0]).toMatchObject({
      metadata: { email: "[redacted]" },
      request: { body: { card: { number: "[redacted]", year: 30 } } },
    });
    expect(parts.recorder.events[0]?.request?.body).not.toHaveProperty("missing");
  });
});

describe("what is told", () => {
  it("each recorded event, and a line when debugging", async () => {
    const events: unknown[] = [];
    const sentences: string[] = [];
    const logger = {
      debug: (_facts: object, sentence: string) => void sentences.push(sentence),
      info: quiet,
      warn: quiet,
      error: quiet,
    };
    const parts = await asked(
      rig({ onEvent: (event) => void events.push(event), debug: true, logger, identifyCompany: () => "acme" }),
    );
    expect(events).toEqual(parts.recorder.events);
    expect(sentences).toEqual(["GET /chat 200 company=acme"]);
  });

  it("once, when none of the first requests had an identity", async () => {
    const parts = rig();
    const server = await serveForTest((request, response) => {
      parts.middleware(request, response);
      response.writeHead(200, { "X-Tokens-Used": "7" }).end();
    });
    for (let at = 0; at < limits.startUpRequests; at++) {
      expect(parts.notices).toEqual([]);
      await ask(server.url);
    }
    await ask(server.url);
    expect(parts.notices).toMatchObject([
      { code: "METER_NO_IDENTITY", text: expect.stringContaining('req.get("x-organization-id")') },
    ]);
  });

  it("once, when a metered header never came, with what was probably meant", async () => {
    const parts = rig(
      { identifyCompany: () => "acme" },
      { meters: [meterOf("response.headers.X-Token-Used"), meterOf("response.headers.X-Seen")] },
    );
    const server = await serveForTest((request, response) => {
      parts.middleware(request, response);
      response.writeHead(request.url === "/" ? 200 : 404, { "X-Tokens-Used": "7", "X-Seen": "1" }).end();
    });
    await ask(`${server.url}/other`);
    for (let at = 0; at < limits.startUpRequests + 1; at++) await ask(server.url);
    expect(parts.notices).toMatchObject([
      { code: "METER_HEADER_NEVER_SEEN", text: expect.stringMatching(/X-Token-Used.*Did you mean X-Tokens-Used\?/) },
    ]);
  });
});
