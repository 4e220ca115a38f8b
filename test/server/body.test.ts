import { once } from "node:events";
import net from "node:net";
import { brotliCompressSync, deflateSync, gzipSync } from "node:zlib";

import { describe, expect, it } from "vitest";

import { limits } from "../../src/engine/limits.ts";
import { bytes, echo, rawCall } from "./echo.ts";
import { startServer, type Served } from "./rig.ts";

const KIB = 1024;

const server = { limits: { bodyBytes: 64 * KIB, inflatedBytes: 256 * KIB, eventBytes: KIB } };
const start = (more: Parameters<typeof startServer>[0] = {}): Promise<Served> =>
  startServer({ hosted: { server }, routes: [echo, bytes], ...more });
const put = (url: string, body: Uint8Array, headers: Record<string, string> = {}): Promise<Response> =>
  fetch(`${url}/bytes`, { method: "PUT", body, headers });
const post = (url: string, body: string | Uint8Array, type = "application/json"): Promise<Response> =>
  fetch(`${url}/echo`, { method: "POST", body, headers: { "content-type": type } });

const nested = (depth: number): string => "[".repeat(depth) + "]".repeat(depth);

describe("a body", () => {
  it.each([
    ["gzip", gzipSync],
    ["x-gzip", gzipSync],
    ["deflate", deflateSync],
    ["br", brotliCompressSync],
    ["identity", (whole: Uint8Array) => whole],
  ])("in %s comes as it was", async (encoding, compress) => {
    const { url } = await start();
    const whole = Buffer.from("Grüße ".repeat(1_000));
    const response = await put(url, compress(whole), { "content-encoding": encoding });
    expect(response.status).toBe(200);
    expect(Buffer.from(await response.arrayBuffer()).equals(whole)).toBe(true);
  });

  it.each(["zstd", "compress", "gzip, gzip", "gzip,br", "utf-8"])(
    "in %s is refused, and says what is taken",
    async (encoding) => {
      const { url } = await start();
      const response = await put(url, Buffer.from("x"), { "content-encoding": encoding });
      expect(response.status).toBe(415);
      expect(response.headers.get("accept-encoding")).toBe("gzip, deflate, br");
    },
  );

  it("is refused by its stated length before a byte of it is read", async () => {
    const { port } = await start();
    const answer = await rawCall(
      port,
      "PUT /bytes HTTP/1.1\r\nhost: localhost\r\ncontent-length: 1000000000000\r\n\r\n",
    );
    expect(answer).toMatch(/^HTTP\/1\.1 413 /);
    expect(answer.toLowerCase()).toContain("connection: close");
  });

  it("is refused at the first byte too much when it states no length", async () => {
    const { port } = await start();
    const chunk = `${(32 * KIB).toString(16)}\r\n${"x".repeat(32 * KIB)}\r\n`;
    // The body never ends: only what counts as it reads can answer this.
    const answer = await rawCall(
      port,
      `PUT /bytes HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: chunked\r\n\r\n${chunk.repeat(3)}`,
    );
    expect(answer).toMatch(/^HTTP\/1\.1 413 /);
  });

  it("fits exactly, and not with one byte more", async () => {
    const { url } = await start();
    expect((await put(url, Buffer.alloc(64 * KIB))).status).toBe(200);
    expect((await put(url, Buffer.alloc(64 * KIB + 1))).status).toBe(413);
    const inflated = (size: number): Promise<Response> =>
      put(url, gzipSync(Buffer.alloc(size)), { "content-encoding": "gzip" });
    expect((await inflated(256 * KIB)).status).toBe(200);
    expect((await inflated(256 * KIB + 1)).status).toBe(413);
  });

  it.each([
    ["gzip", gzipSync(Buffer.alloc(60 * 1024 * KIB))],
    ["br", brotliCompressSync(Buffer.alloc(200 * 1024 * KIB))],
    ["deflate", deflateSync(Buffer.alloc(60 * 1024 * KIB))],
  ])("of %s that is a bomb is refused without inflating it", async (encoding, bomb) => {
    const { url } = await start();
    expect(bomb.byteLength).toBeLessThan(64 * KIB);
    const before = process.memoryUsage().arrayBuffers;
    const response = await put(url, bomb, { "content-encoding": encoding });
    expect(response.status).toBe(413);
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(20 * 1024 * KIB);
  });

  it.each([
    ["is none", Buffer.from("plain")],
    ["is cut", gzipSync(Buffer.alloc(1_000)).subarray(0, 20)],
    ["is empty", Buffer.alloc(0)],
  ])("of gzip that %s is the caller's mistake", async (_, body) => {
    const { url } = await start();
    expect((await put(url, body, { "content-encoding": "gzip" })).status).toBe(400);
  });

  it("that nests deeper than the bound is refused before it is parsed", async () => {
    const { url } = await start();
    expect((await post(url, nested(limits.httpJsonDepthMax))).status).toBe(200);
    expect((await post(url, nested(limits.httpJsonDepthMax + 1))).status).toBe(400);
    expect((await post(url, nested(30_000))).status).toBe(400);
    // Brackets in texts are no depth.
    expect((await post(url, JSON.stringify("[".repeat(1_000)))).status).toBe(200);
    expect((await post(url, `"\\"${"[".repeat(100)}"`)).status).toBe(200);
  });

  it("keeps numbers that a double cannot hold", async () => {
    const { url } = await start();
    const response = await post(url, '{"n":9007199254740993,"d":0.1234567890123456789,"s":1.5}');
    expect(await response.json()).toEqual({
      author: "local",
      body: { n: "9007199254740993", d: "0.1234567890123456789", s: 1.5 },
    });
  });

  it.each([
    ["application/json; charset=utf-8", 200],
    ["application/vnd.api+json", 200],
    ["APPLICATION/JSON", 200],
    ["application/json; charset=latin1", 415],
    ["text/plain", 415],
    ["application/x-www-form-urlencoded", 415],
  ])("of the type %s is answered %d", async (type, status) => {
    const { url } = await start();
    expect((await post(url, "{}", type)).status).toBe(status);
  });

  it.each([[Buffer.from([0x22, 0xff, 0x22])], ["{"], ["{}{}"], ["nul"]])("%j is no JSON", async (body) => {
    const { url } = await start();
    expect((await post(url, body)).status).toBe(400);
  });

  it("with __proto__ pollutes nothing and stays content", async () => {
    const { url } = await start();
    const sent = '{"__proto__":{"polluted":1},"constructor":{"prototype":{"polluted":1}}}';
    const response = await post(url, sent);
    expect(response.status).toBe(200);
    expect(Reflect.get({}, "polluted")).toBeUndefined();
  });

  it("of a caller who leaves is dropped, and the service goes on", async () => {
    const { url, port, router } = await start();
    const socket = net.connect(port, "127.0.0.1");
    await once(socket, "connect");
    socket.write("PUT /bytes HTTP/1.1\r\nhost: localhost\r\ncontent-length: 100\r\n\r\nhalf");
    socket.destroy();
    expect((await put(url, Buffer.from("whole"))).status).toBe(200);
    // What was under way has ended, or this would never resolve.
    await router.close();
  });

  it("that another parser read before is refused with the way out", async () => {
    const { url, logged } = await start({
      mount: (router) => (request, response) => {
        request.resume().once("end", () => router(request, response));
      },
    });
    const response = await post(url, "{}");
    expect(response.status).toBe(500);
    expect(await response.json()).toMatchObject({ detail: expect.stringContaining("before express.json()") });
    expect(logged.map(({ level }) => level)).toEqual(["error"]);
  });
});
