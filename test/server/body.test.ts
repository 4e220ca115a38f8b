import { once } from "node:events";
import net from "node:net";
import { brotliCompressSync, deflateSync, gzipSync } from "node:zlib";

import { describe, expect, it, vi } from "vitest";

import { limits } from "../../src/engine/limits.ts";
import { allRoutes } from "./all-routes.ts";
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

const names = (count: number): string => `{${Array.from({ length: count }, (_, at) => `"${at}":0`).join(",")}}`;
const spaces = (count: number): Buffer => Buffer.from(`{}${" ".repeat(count)}`);
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

  it("of more values than the bound is refused before it is parsed, also where all of them are unknown members", async () => {
    const { url } = await startServer({ routes: [echo] });
    const zipped = (text: string): Promise<Response> =>
      fetch(`${url}/v1/customers`, {
        method: "POST",
        body: gzipSync(text),
        headers: { "content-type": "application/json", "content-encoding": "gzip" },
      });
    expect((await post(url, `[${"0,".repeat(20_000)}0]`)).status).toBe(200);
    expect(await (await zipped(`[${"0,".repeat(limits.httpJsonValuesMax)}0]`)).json()).toMatchObject({ status: 400 });
    const many = await (await zipped(names(limits.httpJsonValuesMax + 1))).json();
    expect(many).toMatchObject({ status: 400, detail: expect.stringContaining("values") });
    // Commas in texts are no values.
    expect((await post(url, JSON.stringify(",".repeat(limits.httpJsonValuesMax + 1)))).status).toBe(200);
  });

  it("that is nothing but mistakes is the caller's mistake, however many there are", async () => {
    const { url } = await startServer();
    const text = names(limits.httpJsonValuesMax - 10);
    const response = await fetch(`${url}/v1/customers`, {
      method: "POST",
      body: text,
      headers: { "content-type": "application/json" },
    });
    expect(response.status).toBe(400);
    expect(Object(await response.json()).errors).toHaveLength(limits.mistakesMax);
  });

  it("whose type is stated twice is refused: who reads the first and who reads the second would differ", async () => {
    const { port } = await start();
    const answer = await rawCall(
      port,
      "POST /echo HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-type: application/json\r\ncontent-type: text/plain\r\ncontent-length: 2\r\n\r\n{}",
    );
    expect(answer).toMatch(/^HTTP\/1\.1 400 [^]*Content-Type/);
  });

  it("is charged to its key also when it is refused, or its caller leaves", async () => {
    const { url, port, backend, clock, router } = await start();
    const draft = { name: "x", scopes: ["ingest"], limits: { bytesPerSecond: 1_000 } } as const;
    const { text } = await backend.createKey({ draft, author: "operator:ann" });
    const bomb = gzipSync(Buffer.alloc(4_000 * KIB));
    const headers = { authorization: `Bearer ${text}` };
    const refused = await put(url, bomb, { ...headers, "content-encoding": "gzip" });
    const after = await put(url, Buffer.from("x"), headers);
    expect([bomb.byteLength > 2_000, refused.status, after.status]).toEqual([true, 413, 429]);
    clock.advance(60_000);
    const socket = net.connect(port, "127.0.0.1");
    socket.write(`PUT /bytes HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ${text}\r\ncontent-length: 9000\r\n\r\n`);
    socket.write("x".repeat(8_000), () => socket.destroy());
    await once(socket, "close");
    await vi.waitFor(async () => expect((await put(url, Buffer.from(""), headers)).status).toBe(429));
    await router.close();
  });

  it("of somebody with a customer's token is a question, and no more", async () => {
    const { url, backend } = await start({ routes: allRoutes });
    const { id } = await backend.createCustomer({ draft: { name: "Ann" }, author: "operator:ann" });
    const issued = await fetch(`${url}/v1/customers/${id}/tokens`, {
      method: "POST",
      body: "{}",
      headers: { "content-type": "application/json" },
    });
    const token = String(Object(await issued.json()).token);
    const ask = async (body: Uint8Array, more: Record<string, string> = {}): Promise<number> => {
      const headers = { authorization: `Bearer ${token}`, "content-type": "application/json", ...more };
      return (await fetch(`${url}/v1/meters/x/query`, { method: "POST", body, headers })).status;
    };
    expect(await ask(spaces(1_000))).toBe(404);
    expect(await ask(spaces(limits.customerBodyBytesMax))).toBe(413);
    expect(await ask(gzipSync(spaces(limits.customerBodyBytesMax)), { "content-encoding": "gzip" })).toBe(413);
  });

  it("waits for room where other calls hold it all, and is told to come again", async () => {
    const { port, url, router } = await startServer({
      routes: [bytes],
      hosted: { server: { limits: { bodyBytes: 64 * 1024 * KIB, inflatedBytes: 256 * 1024 * KIB } } },
    });
    // One that inflates to most of the room, and is held by a caller who does not finish the next.
    const held = net.connect(port, "127.0.0.1");
    held.on("error", () => undefined);
    const size = 60 * 1024 * KIB;
    held.write(`PUT /bytes HTTP/1.1\r\nhost: localhost\r\ncontent-length: ${size}\r\n\r\n`);
    await new Promise<void>((resolve) => held.write(Buffer.alloc(size - 1), () => resolve()));
    const refused = await put(url, gzipSync(Buffer.alloc(50 * 1024 * KIB)), { "content-encoding": "gzip" });
    expect([refused.status, refused.headers.get("retry-after")]).toEqual([503, "1"]);
    expect((await put(url, Buffer.from("small"))).status).toBe(200);
    held.destroy();
    await vi.waitFor(async () => {
      const again = await put(url, gzipSync(Buffer.alloc(50 * 1024 * KIB)), { "content-encoding": "gzip" });
      await again.arrayBuffer();
      expect(again.status).toBe(200);
    });
    await router.close();
  }, 30_000);
});
