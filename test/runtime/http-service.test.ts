import { createServer } from "node:http";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

import { expect, it, onTestFinished } from "vitest";

import type { Logger } from "../../src/engine/ports.ts";
import { openService, type Service } from "../../src/runtime/http-service.ts";
import { allRoutes } from "../server/all-routes.ts";
import { startServer } from "../server/rig.ts";
import { threads } from "./served-threads.ts";

const SLOW = 60_000;
const quiet = { debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined };

async function opened(
  logger: Logger = quiet,
): Promise<Service & { readonly waiting: () => number; readonly directory: string }> {
  const { settings, link, directory } = threads();
  const server = { ...settings.server, metrics: true };
  const given = { settings: { ...settings, server }, link, logger, onNotice: () => undefined };
  const service = await openService({ ...given, openOnLoopback: true });
  onTestFinished(() => service.close(SLOW));
  return { ...service, waiting: () => link.callsWaiting, directory };
}

const names = ({ routes }: Service["router"]): readonly string[] =>
  routes.map(({ method, path, access }) => `${method} ${path} ${access}`).toSorted();

it(
  "serves the routes that the tests of isolation go through, and no others",
  async () => {
    const { router } = await opened();
    expect(names(router)).toEqual(names((await startServer({ routes: allRoutes })).router));
  },
  SLOW,
);

it(
  "asks its threads once however many want to know whether it is ready",
  async () => {
    const { backend, waiting } = await opened();
    const asked = Array.from({ length: 100 }, () => backend.readiness({}));
    expect(waiting()).toBe(1);
    expect(new Set((await Promise.all(asked)).map(({ isReady }) => isReady))).toEqual(new Set([true]));
    expect(await backend.readiness({})).toMatchObject({ isReady: true });
  },
  SLOW,
);

/** Bytes of all files of a folder, as one text. */
function filesIn(directory: string): string {
  const files = readdirSync(directory, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  return files.map(({ parentPath, name }) => readFileSync(join(parentPath, name), "latin1")).join("\n");
}

it(
  "writes nothing into its log that a caller sent, and no key into its files",
  async () => {
    const lines: string[] = [];
    const say = (facts: object, sentence: string): void => void lines.push(JSON.stringify([facts, sentence]));
    const { router, backend, directory } = await opened({ debug: say, info: say, warn: say, error: say });
    const { text: key } = await backend.createKey({ draft: { name: "k", scopes: ["admin"] }, author: "operator:ann" });
    const server = createServer((request, response) => router(request, response));
    onTestFinished(() => void server.close());
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const address = server.address();
    const url = `http://127.0.0.1:${typeof address === "object" && address !== null ? address.port : 0}`;
    const send = async (method: string, path: string, authorization: string, body?: string): Promise<number> => {
      const headers = {
        authorization,
        "content-type": "application/json",
        cookie: "canary_cookie",
        "x-api-key": "canary_header",
      };
      return (await fetch(url + path, { method, headers, ...(body === undefined ? {} : { body }) })).status;
    };
    const own = `Bearer ${key}`;
    const statuses = [
      await send("GET", "/v1/canary_path?canary_query=1", own),
      await send("GET", "/v1/customers/canary_id?canary_query=1", own),
      await send("POST", "/v1/customers", own, '{"canary_member":"canary_value"'),
      await send("POST", "/v1/customers", own, '{"name":1,"canary_member":"canary_value"}'),
      await send("POST", "/v1/customers", "Bearer canary_key", "{}"),
      await send("POST", "/v1/customers", `${own}canary_more`, "{}"),
      await send("GET", "/v1/status", own),
    ];
    expect(statuses).toEqual([404, 400, 400, 400, 401, 401, 200]);
    expect(lines.length).toBeGreaterThanOrEqual(statuses.length);
    expect(lines.filter((line) => line.includes("canary") || line.includes(key))).toEqual([]);
    const kept = filesIn(directory);
    expect([kept.includes(key.slice(3, 11)), kept.includes(key.slice(12, 40)), kept.includes("canary")]).toEqual([
      true,
      false,
      false,
    ]);
  },
  SLOW,
);
