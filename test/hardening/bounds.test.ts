import http from "node:http";
import { gzipSync } from "node:zlib";

import { describe, expect, it, vi } from "vitest";

import type { MeterOptions } from "../../src/capture/options.ts";
import { limits } from "../../src/engine/limits.ts";
import { stderrLogger } from "../../src/runtime/system.ts";
import { ask, GET, meterOf, rawAnswer, rig, serveForTest, type Rig, type Running } from "../capture/rig.ts";

const HEADERS_BYTES_MAX = 8 * 1024 * 1024;

/** A metered server that echoes how many bytes it read, and takes heads of some megabytes. */
async function echo(parts: Rig): Promise<Running> {
  const listener: http.RequestListener = (request, response) => {
    parts.middleware(request, response);
    let bytes = 0;
    request.on("data", (chunk: Buffer) => (bytes += chunk.length));
    request.on("end", () => response.setHeader("X-Tokens-Used", "7").end(String(bytes)));
  };
  const server = http.createServer({ maxHeaderSize: HEADERS_BYTES_MAX }, listener);
  server.maxHeadersCount = 0;
  const served = await serveForTest(listener, server);
  return served;
}

const bodyMeter = { meters: [meterOf("request.body.n")] };

describe("a body", () => {
  it.each<[string, MeterOptions]>([
    ["metered", {}],
    ["captured whole", { capture: "all" }],
  ])("of 10 MB passes as it is, and none of it is kept: %s", async (_, options) => {
    const parts = rig(options, bodyMeter);
    const { url } = await echo(parts);
    const body = `{"n":1,"pad":"${"x".repeat(10_000_000)}"}`;
    expect((await ask(url, { method: "POST", body })).body).toBe(String(body.length));
    expect(parts.recorder.events[0]?.faults).toMatchObject({ "request.body": "body_too_large" });
    expect(parts.recorder.lines[0]?.length).toBeLessThan(2_000);
  });

  it("that is packed is never unpacked: its bytes are no JSON, and a bomb costs nothing", async () => {
    const parts = rig({ capture: "all" }, bodyMeter);
    const { port } = await echo(parts);
    for (const plain of ['{"n":1}', " ".repeat(50_000_000)]) {
      const packed = gzipSync(plain);
      expect(await sendPacked(port, packed)).toBe(String(packed.length));
    }
    expect(parts.recorder.events.map(({ faults }) => faults)).toEqual([
      { "request.body": "body_not_json" },
      { "request.body": "body_not_json" },
    ]);
    expect(parts.recorder.events.some(({ request }) => request?.body !== undefined)).toBe(false);
  });
});

describe("headers", () => {
  it.each<[string, readonly string[]]>([
    ["one of 4 MB", [`X-Big: ${"x".repeat(4_000_000)}`]],
    ["of 3,000 names", Array.from({ length: 3_000 }, (_, at) => `X-Name-${at}: ${"v".repeat(400)}`)],
    ["of 3,000 lines of one name", Array.from({ length: 3_000 }, () => `X-Name: ${"v".repeat(400)}`)],
  ])("beyond a line's bound are left out, and the usage counted: %s", async (_, lines) => {
    const parts = rig({ capture: "headers" });
    const { port } = await echo(parts);
    const answer = await rawAnswer(port, GET("/", ...lines, "Connection: close"));
    expect(answer).toMatch(/^HTTP\/1.1 200 /);
    const line = parts.recorder.lines[0] ?? "";
    expect(Buffer.byteLength(line)).toBeLessThanOrEqual(limits.lineBytesMax);
    expect(parts.recorder.events).toMatchObject([{ response: { headers: { "x-tokens-used": "7" } } }]);
  });

  it.each<[string, string, readonly string[]]>([
    ["a header", "/", [`X-Big: ${"1".repeat(4_000_000)}`]],
    ["a path", `/${"p".repeat(4_000_000)}`, []],
  ])("that cannot be left out hold the event, which is not lost: %s", async (_, path, lines) => {
    const parts = rig({}, { meters: [meterOf("request.headers.X-Big")] });
    const { port } = await echo(parts);
    expect(await rawAnswer(port, GET(path, ...lines, "Connection: close"))).toMatch(/^HTTP\/1.1 200 /);
    expect(Buffer.byteLength(parts.recorder.lines[0] ?? "")).toBeLessThanOrEqual(limits.lineBytesMax);
    expect(parts.recorder.events).toMatchObject([
      { response: { status: 200 }, faults: { "request.headers": "capture_failed" } },
    ]);
  });

  it("in Latin-1 are kept letter by letter", async () => {
    const parts = rig(
      {},
      { meters: [meterOf("response.headers.X-Tokens-Used", { place: "request.headers.X-Place" })] },
    );
    const { url } = await echo(parts);
    expect((await ask(url, { headers: { "X-Place": "Z\u00fcrich\u00ff" } })).status).toBe(200);
    expect(parts.recorder.events[0]?.request?.headers?.["x-place"]).toBe("Z\u00fcrich\u00ff");
    expect(JSON.parse(parts.recorder.lines[0] ?? "")).toHaveProperty("kind", "event");
  });
});

const FORGED = 'acme\r\n{"kind":"event","event":{}}\u2028\u001b[31m\u0000';

describe("line breaks and control characters", () => {
  it("from hooks and paths stay within one journal line, and name no company", async () => {
    const parts = rig({
      identifyCompany: () => FORGED,
      getMetadata: () => ({ [FORGED]: FORGED }),
      getApiVersion: () => FORGED,
    });
    const { url } = await echo(parts);
    expect((await ask(`${url}/a%0d%0ab`)).status).toBe(200);
    const [line = ""] = parts.recorder.lines;
    expect(controlCharacters(line)).toEqual([]);
    expect(parts.recorder.events).toMatchObject([
      { company: null, faults: { company: "bad_identifier" }, metadata: { [FORGED]: FORGED } },
    ]);
  });

  it("do not forge lines of the log", () => {
    const written: string[] = [];
    const spy = vi.spyOn(process.stderr, "write").mockImplementation((text) => written.push(String(text)) > 0);
    stderrLogger(false).warn({ code: "METER_HOOK_FAILED" }, FORGED);
    spy.mockRestore();
    // A sentence may have lines of its own (a configuration's problems); it cannot move the cursor or ring the bell.
    expect(written).toHaveLength(1);
    expect(new Set(controlCharacters(written[0] ?? ""))).toEqual(new Set(["\n"]));
  });
});

/** The characters of a text that a terminal or a log reader would obey. */
function controlCharacters(text: string): string[] {
  return text.split("").filter((character) => character < " " || character === "\u007f" || character === "\u009b");
}

/** What the server answers to a body that says of itself that it is packed. */
function sendPacked(port: number, body: Uint8Array): Promise<string> {
  const headers = { "content-type": "application/json", "content-encoding": "gzip" };
  return new Promise((resolve, reject) => {
    const request = http.request({ port, host: "127.0.0.1", agent: false, method: "POST", headers });
    request.on("error", reject);
    request.on("response", (response) => {
      let text = "";
      response.on("data", (chunk: Buffer) => (text += chunk.toString()));
      response.on("end", () => resolve(text));
    });
    request.end(body);
  });
}
