import { createHmac } from "node:crypto";
import { once } from "node:events";
import { createServer, type IncomingMessage, type RequestListener, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

import { describe, expect, it, onTestFinished } from "vitest";

import { isPublicAddress } from "../../../src/runtime/sinks/public-address.ts";
import { webhookSink, type ResolvedAddress } from "../../../src/runtime/sinks/webhook-sink.ts";

const NOW = Date.parse("2026-02-01T00:05:00Z");
const record = { id: "fr_1", text: '{"id":"fr_1","value":"12.5"}' };

async function served(
  listener: RequestListener,
): Promise<{ readonly url: string; readonly port: number; readonly server: Server }> {
  const server = createServer(listener);
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  const { port } = server.address() as AddressInfo;
  return { url: `http://127.0.0.1:${port}/records`, port, server };
}

async function textOf(request: IncomingMessage): Promise<string> {
  let text = "";
  for await (const chunk of request) text += String(chunk);
  return text;
}

const sinkAt = (url: string, changes: object = {}) =>
  webhookSink({ name: "hook", url, secret: "a-secret-of-the-file", allowPrivate: false, ...changes });

const toLoopback = async (): Promise<readonly ResolvedAddress[]> => [{ address: "127.0.0.1", family: 4 }];

describe("a webhook sink", () => {
  it("posts the record, signed so that its receiver can tell who sent it and when", async () => {
    const calls: { headers: IncomingMessage["headers"]; body: string; path: string | undefined }[] = [];
    const take = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
      calls.push({ headers: request.headers, body: await textOf(request), path: request.url });
      response.writeHead(204).end();
    };
    const { url } = await served((request, response) => void take(request, response));
    expect(await sinkAt(url).emit(record, NOW)).toEqual({ kind: "taken" });
    const [call] = calls;
    expect(call).toMatchObject({ body: record.text, path: "/records" });
    const t = NOW / 1_000;
    const expected = createHmac("sha256", "a-secret-of-the-file").update(`${t}.${record.text}`).digest("hex");
    expect(call?.headers["meterbook-signature"]).toBe(`t=${t},v1=${expected}`);
    expect(call?.headers["idempotency-key"]).toBe("fr_1");
    expect(call?.headers["content-type"]).toBe("application/json");
  });

  it.each([
    [500, "failed"],
    [429, "failed"],
    [404, "failed"],
    [410, "refused"],
  ])("takes %i for %s", async (status, kind) => {
    const { url } = await served((_request, response) => response.writeHead(status).end("no"));
    expect((await sinkAt(url).emit(record, NOW)).kind).toBe(kind);
  });

  it("follows no redirect", async () => {
    let followed = 0;
    const { url } = await served((request, response) => {
      if (request.url === "/records") response.writeHead(307, { location: "/inside" }).end();
      else {
        followed += 1;
        response.end();
      }
    });
    const answer = await sinkAt(url).emit(record, NOW);
    expect(answer).toMatchObject({ kind: "failed", reason: expect.stringContaining("307") });
    expect(followed).toBe(0);
  });

  it("reads no more of an answer than its bound, and waits no longer than its time", async () => {
    const endless = await served((_request, response) => {
      const write = (): void => {
        while (!response.destroyed && response.write("x".repeat(65_536)));
        if (!response.destroyed) response.once("drain", write);
      };
      response.writeHead(200);
      write();
    });
    expect(await sinkAt(endless.url).emit(record, NOW)).toEqual({ kind: "taken" });
    const silent = await served(() => undefined);
    expect((await sinkAt(silent.url, { timeoutMs: 100 }).emit(record, NOW)).kind).toBe("failed");
  });

  it("calls no name that stands for an address inside, also where one of its addresses is outside", async () => {
    const { port } = await served((_request, response) => response.end());
    const inside: readonly ResolvedAddress[] = [
      { address: "93.184.216.34", family: 4 },
      { address: "127.0.0.1", family: 4 },
    ];
    const sink = sinkAt(`https://hooks.example.com:${port}/`, { resolve: async () => inside });
    expect(await sink.emit(record, NOW)).toEqual({
      kind: "failed",
      reason: "hooks.example.com is not an address of the public internet",
    });
  });

  it("connects to the address that it judged: a name is looked up once a call", async () => {
    let asked = 0;
    let connections = 0;
    const { port, server } = await served((_request, response) => response.end());
    server.on("connection", () => (connections += 1));
    const resolve = async (): Promise<readonly ResolvedAddress[]> => {
      asked += 1;
      return [{ address: asked === 1 ? "127.0.0.1" : "127.0.0.2", family: 4 }];
    };
    // No resolver knows this name, so who asks another one than ours reaches nobody.
    const sink = sinkAt(`https://rebinding.invalid:${port}/`, { resolve, allowPrivate: true });
    expect((await sink.emit(record, NOW)).kind).toBe("failed");
    expect([asked, connections]).toEqual([1, 1]);
  });

  it("calls private addresses where the file allows them, and never in clear", async () => {
    const { port } = await served((_request, response) => response.end());
    const allowed = await sinkAt(`https://hooks.internal:${port}/`, { resolve: toLoopback, allowPrivate: true }).emit(
      record,
      NOW,
    );
    // It got as far as the handshake, which this server does not speak.
    expect(allowed).toMatchObject({ kind: "failed", reason: expect.not.stringContaining("public internet") });
    const clear = await sinkAt(`http://hooks.internal:${port}/`, { resolve: toLoopback, allowPrivate: true }).emit(
      record,
      NOW,
    );
    expect(clear).toMatchObject({ kind: "failed", reason: expect.stringContaining("public internet") });
  });
});

describe("the public internet", () => {
  it.each(["8.8.8.8", "100.63.255.255", "172.32.0.1", "192.167.0.1", "223.255.255.255", "2606:4700::1111"])(
    "has %s",
    (address) => expect(isPublicAddress(address)).toBe(true),
  );

  it.each([
    "0.0.0.0",
    "10.1.2.3",
    "100.64.0.1",
    "127.0.0.1",
    "169.254.169.254",
    "172.16.0.1",
    "172.31.255.255",
    "192.168.1.1",
    "198.18.0.1",
    "224.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::ffff:8.8.8.8",
    "::ffff:7f00:1",
    "64:ff9b::7f00:1",
    "2002:7f00:1::",
    "2001:0:1::",
    "2001:db8::1",
    "fc00::1",
    "fd12::1",
    "fe80::1",
    "ff02::1",
    "example.com",
    "",
  ])("has not %s", (address) => expect(isPublicAddress(address)).toBe(false));
});
