import { once } from "node:events";
import { connect, type Socket } from "node:net";

import { expect, it } from "vitest";

import { listenHttp } from "../../src/runtime/http-listener.ts";

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
    expect(idle.destroyed || idle.readableEnded || (await once(idle, "close"))).toBeTruthy();
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
