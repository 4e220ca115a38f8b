import { expect, it, onTestFinished } from "vitest";

import { openService, type Service } from "../../src/runtime/http-service.ts";
import { allRoutes } from "../server/all-routes.ts";
import { startServer } from "../server/rig.ts";
import { threads } from "./served-threads.ts";

const SLOW = 60_000;
const quiet = { debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined };

async function opened(): Promise<Service & { readonly waiting: () => number }> {
  const { settings, link } = threads();
  const server = { ...settings.server, metrics: true };
  const given = { settings: { ...settings, server }, link, logger: quiet, onNotice: () => undefined };
  const service = await openService({ ...given, openOnLoopback: true });
  onTestFinished(() => service.close(SLOW));
  return { ...service, waiting: () => link.callsWaiting };
}

it(
  "serves the routes that the tests of isolation go through, and no others",
  async () => {
    const names = ({ routes }: Service["router"]): readonly string[] =>
      routes.map(({ method, path, access }) => `${method} ${path} ${access}`).toSorted();
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
