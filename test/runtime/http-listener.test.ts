import { once } from "node:events";
import { connect } from "node:net";

import { expect, it } from "vitest";

import { listenHttp } from "../../src/runtime/http-listener.ts";

const SLOW = 30_000;

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
  "cuts off who has not ended in time",
  async () => {
    const listener = await listenHttp(() => undefined, { host: "127.0.0.1", port: 0 });
    const stuck = connect({ port: listener.port, host: "127.0.0.1" });
    stuck.on("error", () => undefined);
    stuck.write("GET /stuck HTTP/1.1\r\nhost: x\r\n\r\n");
    await once(stuck, "ready");
    const gone = once(stuck, "close");
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
