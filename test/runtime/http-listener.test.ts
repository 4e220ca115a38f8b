import { once } from "node:events";
import { connect, type Socket } from "node:net";

import { expect, it, onTestFinished } from "vitest";

import { listenHttp, type HttpListener, type ListenerBounds } from "../../src/runtime/http-listener.ts";
import { rawCall } from "../server/echo.ts";

const SLOW = 30_000;

/** Also with an error, unlike events.once. */
function closeOf(socket: Socket): Promise<void> {
  return new Promise((resolve) => void socket.once("close", () => resolve()));
}

it(
  "answers what is under way when it is closed, closes kept connections and takes no new ones",
  async () => {
    const release = new AbortController();
    const held = once(release.signal, "abort");
    const answered: string[] = [];
    const listener = await listenHttp(
      (request, response) => {
        answered.push(request.url ?? "");
        void (request.url === "/slow" ? held : Promise.resolve()).then(() => response.end("done"));
      },
      { host: "127.0.0.1", port: 0 },
    );
    const idle = connect({ port: listener.port, host: "127.0.0.1" });
    idle.write("GET /idle HTTP/1.1\r\nhost: x\r\n\r\n");
    await once(idle, "data");
    const slow = fetch(`${listener.url}/slow`);
    while (!answered.includes("/slow")) await new Promise(setImmediate);
    const closed = listener.close(
      held.then(() => undefined),
      SLOW,
    );
    await expect(fetch(`${listener.url}/late`)).rejects.toThrow("fetch failed");
    release.abort();
    expect(await (await slow).text()).toBe("done");
    await closed;
    await expect.poll(() => idle.readableEnded || idle.destroyed, { timeout: 10_000 }).toBe(true);
  },
  SLOW,
);

it(
  "closes connections on which nothing or half a call has come, without waiting for them",
  async () => {
    const listener = await listenHttp((_, response) => response.end("done"), { host: "127.0.0.1", port: 0 });
    const sockets = ["", "POST /v1/events HTTP/1.1\r\nhost:"].map((text) => {
      const socket = connect({ port: listener.port, host: "127.0.0.1" });
      socket.on("error", () => undefined);
      socket.write(text);
      return socket;
    });
    const gone = Promise.all(sockets.map(closeOf));
    await Promise.all(sockets.map((socket) => once(socket, "connect")));
    // Connections are taken in their order: when this one is answered, those are there.
    expect(await (await fetch(listener.url)).text()).toBe("done");
    await listener.close(Promise.resolve(), SLOW * 2);
    await gone;
  },
  SLOW,
);

it(
  "cuts off who has not ended in time",
  async () => {
    const reached = new AbortController();
    const atWork = once(reached.signal, "abort");
    const listener = await listenHttp(() => reached.abort(), { host: "127.0.0.1", port: 0 });
    const stuck = connect({ port: listener.port, host: "127.0.0.1" });
    stuck.on("error", () => undefined);
    stuck.write("GET /stuck HTTP/1.1\r\nhost: x\r\n\r\n");
    await atWork;
    const gone = closeOf(stuck);
    await listener.close(Promise.resolve(), 20);
    await gone;
    expect(stuck.destroyed).toBe(true);
  },
  SLOW,
);

it("says what is wrong with an address that it cannot have", async () => {
  const first = await listenHttp(() => undefined, { host: "127.0.0.1", port: 0 });
  const { port } = first;
  await expect(listenHttp(() => undefined, { host: "127.0.0.1", port })).rejects.toMatchObject({
    code: "METER_OPTION_INVALID",
    message: `127.0.0.1:${port} is taken by another program.`,
  });
  await first.close(Promise.resolve(), 1_000);
  await expect(listenHttp(() => undefined, { host: "192.0.2.1", port: 0 })).rejects.toMatchObject({
    code: "METER_OPTION_INVALID",
  });
});

const HOME = { host: "127.0.0.1", port: 0 };

async function listening(bounds?: ListenerBounds): Promise<HttpListener> {
  const listener = await listenHttp(
    (request, response) => void request.resume().once("end", () => response.end("done")),
    HOME,
    bounds,
  );
  onTestFinished(() => listener.close(Promise.resolve(), 0));
  return listener;
}

it.each([
  ["is none at all", "nonsense\r\n\r\n", 400],
  ["has a header that is too large", `GET / HTTP/1.1\r\nhost: x\r\nx: ${"y".repeat(20_000)}\r\n\r\n`, 431],
  [
    "states a length and chunks",
    "POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 3\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
    400,
  ],
  ["states two lengths", "POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 3\r\ncontent-length: 4\r\n\r\nabc", 400],
  ["states a length that is none", "POST / HTTP/1.1\r\nhost: x\r\ncontent-length: -1\r\n\r\n", 400],
  ["has chunks that are none", "POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n", 400],
  ["names no host", "GET / HTTP/1.1\r\nconnection: close\r\n\r\n", 400],
  ["expects what nobody knows", "GET / HTTP/1.1\r\nhost: x\r\nexpect: more\r\nconnection: close\r\n\r\n", 417],
])("answers a request that %s with a problem", async (_, text, status) => {
  const { port } = await listening();
  const answer = await rawCall(port, text);
  expect(answer).toMatch(new RegExp(`^HTTP/1\\.1 ${status} `));
  expect(answer.toLowerCase()).toContain("content-type: application/problem+json\r\n");
  expect(JSON.parse(answer.slice(answer.indexOf("\r\n\r\n")))).toMatchObject({ status, code: "METER_REQUEST_INVALID" });
});

it(
  "takes what stands behind a body that is longer than it states for a request of its own, and refuses that",
  async () => {
    const { port } = await listening();
    const answer = await rawCall(port, "POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 3\r\n\r\nabcdef\r\n\r\n");
    expect(answer.match(/HTTP\/1\.1 \d+/g)?.at(-1)).toBe("HTTP/1.1 400");
  },
  SLOW,
);

it.each([
  ["header", "GET / HTTP/1.1\r\nhost: x\r\n"],
  ["body", "POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\nhalf"],
])(
  "gives up on a %s that does not come",
  async (_, text) => {
    const { port } = await listening({ headersTimeoutMs: 50, requestTimeoutMs: 100, checkMs: 10 });
    expect(await rawCall(port, text)).toMatch(/^HTTP\/1\.1 408 [^]*"status":408/);
  },
  SLOW,
);

it(
  "lets a caller take the whole answer that was written when it is closed",
  async () => {
    const whole = Buffer.alloc(30_000_000);
    const listener = await listenHttp((_request, response) => response.end(whole), HOME);
    const caller = connect({ port: listener.port, host: "127.0.0.1" });
    caller.write("GET / HTTP/1.1\r\nhost: x\r\n\r\n");
    await once(caller, "readable");
    const closed = listener.close(Promise.resolve(), SLOW);
    let taken = 0;
    caller.on("data", (chunk: Buffer) => void (taken += chunk.byteLength));
    await closed;
    expect(taken).toBeGreaterThan(whole.byteLength);
  },
  SLOW,
);
