import { describe, expect, it } from "vitest";

import { MeterbookError } from "../../src/core/errors.ts";
import { limits } from "../../src/engine/limits.ts";
import { assertSafe, isLoopbackName } from "../../src/server/open-access.ts";
import { manualClock } from "../../src/testing/manual-clock.ts";
import { START } from "../engine/world.ts";
import { echo, rawCall } from "./echo.ts";
import { allRoutes } from "./all-routes.ts";
import { startServer } from "./rig.ts";
import { hostedBackend } from "./hosted-backend.ts";

const get = (url: string, key: string | null): Promise<Response> =>
  fetch(url, { headers: key === null ? {} : { authorization: `Bearer ${key}` } });
const head = (port: number, path: string, lines: readonly string[]): Promise<string> =>
  rawCall(port, [`GET ${path} HTTP/1.1`, ...lines, "connection: close", "", ""].join("\r\n"));

describe("a service without keys", () => {
  it("is open to programs of this machine, and closed as soon as there is a key", async () => {
    const { url, key } = await startServer();
    expect((await get(`${url}/v1/status`, null)).status).toBe(200);
    const admin = await key("admin");
    expect((await get(`${url}/v1/status`, null)).status).toBe(401);
    expect((await get(`${url}/v1/status`, admin)).status).toBe(200);
  });

  it("stays closed when the last key is revoked", async () => {
    const { url, key, backend, clock } = await startServer();
    const admin = await key("admin");
    await backend.revokeKey({ id: admin.slice(3, 11), author: "operator:ann" });
    clock.advance(limits.keyRingCheckMs);
    expect((await get(`${url}/v1/status`, admin)).status).toBe(401);
    expect((await get(`${url}/v1/status`, null)).status).toBe(401);
  });

  it.each([
    ["another site's name (DNS rebinding)", ["host: attacker.example"]],
    ["a name that begins like this machine's", ["host: localhost.attacker.example"]],
    ["no name", ["host:"]],
    ["two names", ["host: localhost", "host: attacker.example"]],
    ["another site's page", ["host: localhost", "origin: https://attacker.example"]],
    ["a page of another port", ["host: localhost:8888", "origin: http://localhost:3000"]],
    ["a page without an origin", ["host: localhost", "origin: null"]],
    ["another site's picture", ["host: localhost", "sec-fetch-site: cross-site"]],
    ["another port's picture", ["host: localhost", "sec-fetch-site: same-site"]],
    ["a proxy", ["host: localhost", "x-forwarded-for: 203.0.113.9"]],
    ["a proxy of another make", ["host: localhost", "via: 1.1 edge"]],
  ])("is closed to %s", async (_, lines) => {
    const { port } = await startServer();
    expect(await head(port, "/v1/status", lines)).toMatch(/^HTTP\/1\.1 40[01] /);
  });

  it.each([["host: localhost"], ["host: 127.0.0.1:80"], ["host: [::1]:9"], ["host: LOCALHOST"]])(
    "is open by %s",
    async (host) => {
      const { port } = await startServer();
      expect(await head(port, "/v1/status", [host])).toMatch(/^HTTP\/1\.1 200 /);
    },
  );

  it("is closed to a proxy that adds no header, which speaks HTTP/1.0", async () => {
    const { port } = await startServer();
    expect(await rawCall(port, "GET /v1/status HTTP/1.0\r\nhost: 127.0.0.1:8888\r\n\r\n")).toMatch(/^HTTP\/1\.1 401 /);
  });

  it("is closed where its host says so", async () => {
    const { url } = await startServer({ openOnLoopback: false });
    expect((await get(`${url}/v1/status`, null)).status).toBe(401);
    expect((await get(`${url}/healthz`, null)).status).toBe(200);
  });

  it("refuses to listen to others", () => {
    for (const address of ["0.0.0.0", "::", "192.168.1.5", "meter.example", "127.0.0.1.example"])
      expect(() => assertSafe(address, false)).toThrow(MeterbookError);
    for (const address of ["127.0.0.1", "127.9.9.9", "::1", "localhost"]) assertSafe(address, false);
    assertSafe("0.0.0.0", true);
    expect(isLoopbackName("localhost:8888")).toBe(true);
  });
});

describe("a key", () => {
  it("opens what its scopes say, and no more", async () => {
    const { url, key } = await startServer({ routes: [echo] });
    const [ingest, read, admin] = [await key("ingest"), await key("read"), await key("admin")];
    const statuses = async (text: string): Promise<readonly number[]> => {
      const headers = { authorization: `Bearer ${text}`, "content-type": "application/json" };
      const sent = await fetch(`${url}/echo`, { method: "POST", body: "1", headers });
      return [sent.status, (await get(`${url}/v1/status`, text)).status, (await get(`${url}/v1/keys`, text)).status];
    };
    expect(await statuses(ingest)).toEqual([200, 403, 403]);
    expect(await statuses(read)).toEqual([403, 200, 403]);
    expect(await statuses(admin)).toEqual([200, 200, 200]);
  });

  it("is named in histories by its prefix", async () => {
    const { url, key } = await startServer({ routes: [echo] });
    const text = await key("ingest");
    const headers = { authorization: `bearer ${text}`, "content-type": "application/json" };
    const response = await fetch(`${url}/echo`, { method: "POST", body: "1", headers });
    expect(await response.json()).toEqual({ author: `key:${text.slice(3, 11)}`, body: 1 });
  });

  it("is refused from the moment at which it is revoked over the service itself", async () => {
    const { url, key } = await startServer();
    const [admin, read] = [await key("admin"), await key("read")];
    expect((await get(`${url}/v1/status`, read)).status).toBe(200);
    const headers = { authorization: `Bearer ${admin}` };
    expect((await fetch(`${url}/v1/keys/${read.slice(3, 11)}`, { method: "DELETE", headers })).status).toBe(204);
    expect((await get(`${url}/v1/status`, read)).status).toBe(401);
  });

  it("that another process revokes is good for a second at most", async () => {
    const { url, key, backend, clock } = await startServer();
    const read = await key("read");
    expect((await get(`${url}/v1/status`, read)).status).toBe(200);
    await backend.revokeKey({ id: read.slice(3, 11), author: "operator:ann" });
    clock.advance(limits.keyRingCheckMs);
    expect((await get(`${url}/v1/status`, read)).status).toBe(401);
  });

  it("expires at its instant", async () => {
    const { url, backend, clock } = await startServer();
    const draft = { name: "x", scopes: ["read"], expiresAt: START + 5_000 } as const;
    const { text } = await backend.createKey({ draft, author: "operator:ann" });
    clock.set(START + 4_999);
    expect((await get(`${url}/v1/status`, text)).status).toBe(200);
    clock.set(START + 5_000);
    expect((await get(`${url}/v1/status`, text)).status).toBe(401);
  });

  it("is not let in while the keys cannot be read", async () => {
    const clock = manualClock(START);
    const backend = await hostedBackend({ clock });
    const { text } = await backend.createKey({ draft: { name: "x", scopes: ["read"] }, author: "operator:ann" });
    const broken = {
      ...backend,
      settings: backend.settings,
      keyRing: () => Promise.reject(new MeterbookError("METER_SERVER_BUSY", "Not now.")),
    };
    const { url } = await startServer({ clock, backend: broken });
    for (const key of [text, null]) {
      const response = await get(`${url}/v1/status`, key);
      expect([response.status, response.headers.get("retry-after")]).toEqual([503, "1"]);
    }
  });

  it("leaves a note of its last use, about once a minute and at the end", async () => {
    const { url, key, backend, clock, router } = await startServer();
    const read = await key("read");
    await get(`${url}/v1/status`, read);
    await router.close();
    expect(await backend.getKey({ id: read.slice(3, 11) })).toMatchObject({ lastUsedAt: clock.now() });
  });

  it.each([
    ["two Authorization lines", (key: string) => [`authorization: Bearer ${key}`, `authorization: Bearer ${key}`], ""],
    ["one in the header and one in the address", (key: string) => [`authorization: Bearer ${key}`], "?api_key=mb_x"],
    ["one in the address", () => [], "?access_token=mbt_x"],
    ["another scheme", () => ["authorization: Basic bWI6eA=="], ""],
    ["two in one line", (key: string) => [`authorization: Bearer ${key}, Bearer ${key}`], ""],
  ])("that is unclear is refused: %s", async (_, lines, search) => {
    const { port, key } = await startServer();
    const text = await key("admin");
    expect(await head(port, `/v1/status${search}`, ["host: localhost", ...lines(text)])).toMatch(/^HTTP\/1\.1 400 /);
  });

  it("is limited in calls and bytes, and told when to come again", async () => {
    const { url, backend, clock } = await startServer({ routes: [echo] });
    const draft = {
      name: "x",
      scopes: ["ingest"],
      limits: { requestsPerSecond: 2, burst: 3, bytesPerSecond: 1_000 },
    } as const;
    const { text } = await backend.createKey({ draft, author: "operator:ann" });
    const send = async (size: number): Promise<readonly [number, string | null]> => {
      const headers = { authorization: `Bearer ${text}`, "content-type": "application/json" };
      const response = await fetch(`${url}/echo`, {
        method: "POST",
        body: JSON.stringify("x".repeat(size - 2)),
        headers,
      });
      return [response.status, response.headers.get("retry-after")];
    };
    expect([await send(10), await send(10), await send(10)].map(([status]) => status)).toEqual([200, 200, 200]);
    expect(await send(10)).toEqual([429, "1"]);
    clock.advance(1_000);
    // 6,000 bytes at 1,000 a second: five seconds are owed beyond the burst.
    expect(await send(6_000)).toEqual([200, null]);
    clock.advance(1_000);
    expect(await send(10)).toEqual([429, "4"]);
    clock.advance(4_000);
    expect(await send(10)).toEqual([200, null]);
  });

  it("without limits of its own has those of the configuration", async () => {
    const { url, key } = await startServer({ hosted: { server: { limits: { requestsPerSecond: 1 } } } });
    const read = await key("read");
    expect((await get(`${url}/v1/status`, read)).status).toBe(200);
    expect((await get(`${url}/v1/status`, read)).status).toBe(429);
  });
});

describe("a portal token", () => {
  it("has a bounded number of calls a second, however many tokens its subject has", async () => {
    const { url, backend } = await startServer({ routes: allRoutes });
    const order = { subject: "ann", meters: null, expiresInMs: 60_000, author: "operator:ann" };
    const tokens = [await backend.createPortalToken(order), await backend.createPortalToken(order)];
    const statuses: number[] = [];
    for (let call = 0; call <= limits.customerCallsPerSecond; call += 1)
      statuses.push((await get(`${url}/api/v1/portal/meters/none/query`, tokens[call % 2]?.text ?? null)).status);
    expect(statuses.slice(0, -1).every((status) => status === 404)).toBe(true);
    expect(statuses.at(-1)).toBe(429);
  });
});
