import http from "node:http";
import { once } from "node:events";

import { describe, expect, it } from "vitest";

import type { Route } from "../../src/server/route.ts";
import { allRoutes } from "./all-routes.ts";
import { METER_TEMPLATES } from "../../src/engine/meters/templates.ts";
import { manualClock } from "../../src/testing/manual-clock.ts";
import { START } from "../engine/world.ts";
import { caller } from "./caller.ts";
import { startServer, type Served } from "./rig.ts";

/** All routes of the service as it is served. A new one is in the matrix by being in the table. */
const TAKES_BODY = ["POST", "PUT", "PATCH"];
const METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"] as const;

/** Ids of one length, so that an answer that repeats one differs in nothing else. */
interface Ids {
  readonly own: string;
  readonly other: string;
  readonly missing: string;
}

interface World {
  readonly served: Served;
  readonly keys: { readonly ingest: string; readonly read: string; readonly admin: string };
  readonly token: string;
  /** For the parameters of a path. */
  readonly ids: (path: string) => Ids;
}

interface Sent {
  readonly method: string;
  readonly path: string;
  readonly credential: string | null;
}

/** Status line, header fields but the time, and body: everything that a caller sees. */
async function seen({ port }: Served, { method, path, credential }: Sent): Promise<string> {
  const headers = {
    ...(credential === null ? {} : { authorization: `Bearer ${credential}` }),
    ...(TAKES_BODY.includes(method) ? { "content-type": "application/json" } : {}),
  };
  const call = http.request({ port, host: "127.0.0.1", method, path, headers, agent: false });
  call.end(TAKES_BODY.includes(method) ? "{}" : undefined);
  const [response]: [http.IncomingMessage] = await once(call, "response").then(([first]) => [first]);
  let body = "";
  for await (const chunk of response.setEncoding("utf8")) body += String(chunk);
  const lines = response.rawHeaders.map((text, at) => (response.rawHeaders[at - 1] === "Date" ? "" : text));
  return JSON.stringify([response.statusCode, lines, body]);
}

async function worldOf(): Promise<World> {
  const served = await startServer({ clock: manualClock(START), routes: allRoutes, templates: METER_TEMPLATES });
  const call = caller(served);
  await call("POST", "/v1/meters", { key: "aaaa_meter", eventType: "prompt", aggregate: "count" });
  await call("POST", "/v1/meters", { key: "bbbb_meter", eventType: "prompt", aggregate: "count" });
  const ann = String((await call("POST", "/v1/customers", { name: "Ann", key: "ann_key" })).at("id"));
  const bob = String((await call("POST", "/v1/customers", { name: "Bob", key: "bob_key" })).at("id"));
  for (const subject of ["ann_key", "bob_key"]) {
    const event = { specversion: "1.0", id: `${subject}_1`, source: "test", type: "prompt", subject };
    await call("POST", "/v1/events", event, { "content-type": "application/cloudevents+json" });
    await call("PUT", `/v1/subjects/${subject}`, { displayName: subject });
  }
  const issued = await call("POST", `/v1/customers/${ann}/tokens`, { meters: ["aaaa_meter"] });
  const keys = { ingest: await served.key("ingest"), read: await served.key("read"), admin: await served.key("admin") };
  const meters = { own: "aaaa_meter", other: "bbbb_meter", missing: "zzzz_meter" };
  const customers = { own: ann, other: bob, missing: ann.replaceAll(/[0-9A-Z]$/g, "~") };
  const subjects = { own: "ann_key", other: "bob_key", missing: "zzz_key" };
  return {
    served,
    keys,
    token: String(issued.at("token")),
    ids: (path) => (path.includes("meters") ? meters : path.includes("customers") ? customers : subjects),
  };
}

const isClosed = ({ access }: Route): boolean => access !== "open";
const isPortals = ({ access }: Route): boolean => access === "portal";
const isOperators = (route: Route): boolean => isClosed(route) && route.access !== "token" && !isPortals(route);
const nameOf = ({ method, path }: Route): string => `${method.toUpperCase()} ${path}`;
const WHICH = ["own", "other", "missing"] as const;

/** A route's path with its parameters as one of the three. */
function pathOf({ ids }: World, route: Route, which: keyof Ids): string {
  return route.path.replaceAll(/\{(\w+)\}/g, () => ids(route.path)[which]);
}

/** What a credential is answered for its own, the other's and the missing id, where that is not one and the same. */
async function answersOf(world: World, route: Route, credential: string | null): Promise<readonly string[]> {
  const method = route.method.toUpperCase();
  const answers = new Set<string>();
  for (const which of WHICH) {
    // Otherwise one who calls this often is told to wait.
    world.served.clock.advance(1_000);
    answers.add(await seen(world.served, { method, path: pathOf(world, route, which), credential }));
  }
  return [...answers];
}

/** Names of the routes of which something does not hold. */
async function failing(
  world: World,
  chosen: (route: Route) => boolean,
  holds: (route: Route) => Promise<boolean>,
): Promise<readonly string[]> {
  const found: string[] = [];
  for (const route of world.served.router.routes.filter(chosen)) if (!(await holds(route))) found.push(nameOf(route));
  return found;
}

const isOne = (answers: readonly string[], status: number): boolean =>
  answers.length === 1 && answers[0]?.startsWith(`[${status},`) === true;

describe("every route of the service", () => {
  it("is closed, but the ones that are meant to be open", async () => {
    const { served } = await worldOf();
    const open = served.router.routes.filter((route) => !isClosed(route)).map(nameOf);
    expect(open.toSorted()).toEqual(["GET /", "GET /healthz", "GET /openapi.json", "GET /readyz"]);
    expect(served.router.routes.length).toBeGreaterThan(60);
  });

  it("tells nobody without a valid key what is there", async () => {
    const world = await worldOf();
    const forged = `${world.keys.admin.slice(0, 20)}${world.keys.admin[20] === "x" ? "y" : "x"}${world.keys.admin.slice(21)}`;
    for (const credential of [null, forged, "mb_unknown", "mbt_e30.AAAA"])
      expect(
        await failing(world, isClosed, async (route) => isOne(await answersOf(world, route, credential), 401)),
      ).toEqual([]);
  });

  it("tells a key of another scope nothing but that", async () => {
    const world = await worldOf();
    for (const scope of ["ingest", "read"] as const) {
      const isOthers = (route: Route): boolean =>
        isClosed(route) &&
        !isPortals(route) &&
        route.access !== scope &&
        !(scope === "read" && route.access === "token");
      const holds = async (route: Route): Promise<boolean> =>
        isOne(await answersOf(world, route, world.keys[scope]), 403);
      expect(await failing(world, isOthers, holds)).toEqual([]);
    }
  });

  it("is not there for a customer's token, but the questions that are its own", async () => {
    const world = await worldOf();
    const { token } = world;
    expect(
      await failing(world, isOperators, async (route) => isOne(await answersOf(world, route, token), 404)),
    ).toEqual([]);
    const holds = async (route: Route): Promise<boolean> => {
      const method = route.method.toUpperCase();
      const answer = (which: keyof Ids): Promise<string> =>
        seen(world.served, { method, path: pathOf(world, route, which), credential: token });
      const missing = await answer("missing");
      const isHidden = missing.startsWith("[404,") && (await answer("other")) === missing;
      return isHidden && (await answer("own")).startsWith("[200,");
    };
    expect(await failing(world, ({ access }) => access === "token", holds)).toEqual([]);
  });

  it("of a portal is opened by a portal token alone, which opens nothing else", async () => {
    const world = await worldOf();
    const issued = await caller(world.served, world.keys.admin)("POST", "/api/v1/portal/tokens", {
      subject: "ann_key",
      allowedMeterSlugs: ["aaaa_meter"],
    });
    const portal = String(issued.at("token"));
    expect(portal).toMatch(/^mbp_/);
    expect(world.served.router.routes.filter(isPortals).length).toBeGreaterThan(0);
    for (const credential of [world.keys.admin, world.token])
      expect(
        await failing(world, isPortals, async (route) => isOne(await answersOf(world, route, credential), 401)),
      ).toEqual([]);
    const isOthers = (route: Route): boolean => isClosed(route) && !isPortals(route);
    expect(await failing(world, isOthers, async (route) => isOne(await answersOf(world, route, portal), 401))).toEqual(
      [],
    );
    const holds = async (route: Route): Promise<boolean> => {
      const [own, other, missing] = await Promise.all(
        WHICH.map((which) =>
          seen(world.served, { method: "GET", path: pathOf(world, route, which), credential: portal }),
        ),
      );
      return own?.startsWith("[200,") === true && other?.replace("bbbb", "zzzz") === missing;
    };
    expect(await failing(world, isPortals, holds)).toEqual([]);
  });

  it("has no other methods than the table's", async () => {
    const world = await worldOf();
    const { routes } = world.served.router;
    const holds = async (route: Route): Promise<boolean> => {
      const there = routes.filter(({ path }) => sameShape(path, route.path)).map(({ method }) => method.toUpperCase());
      const allowed = there.includes("GET") ? [...there, "HEAD"] : there;
      for (const method of METHODS.filter((candidate) => !allowed.includes(candidate))) {
        const answer = await seen(world.served, { method, path: pathOf(world, route, "own"), credential: null });
        if (!answer.startsWith("[405,")) return false;
      }
      return true;
    };
    expect(await failing(world, () => true, holds)).toEqual([]);
  });
});

describe("a customer's token", () => {
  it("shows its customer's usage alone, whatever the question names", async () => {
    const world = await worldOf();
    const call = caller(world.served, world.token);
    const path = "/v1/meters/aaaa_meter/query";
    const own = await call("GET", path);
    expect([own.at("data.0.value"), own.at("data.1")]).toEqual(["1", undefined]);
    const { own: ann, other: bob, missing } = world.ids("/customers");
    expect((await call("GET", `${path}?customers=${ann}`)).text).toBe(own.text);
    const refused = await call("GET", `${path}?customers=${missing}`);
    expect(refused.status).toBe(404);
    for (const search of [`customers=${bob}`, "customers=bob_key", `customers=${ann}&customers=${bob}`])
      expect(await call("GET", `${path}?${search}`)).toMatchObject({ status: 404, text: refused.text });
    const bySubject = await call("POST", path, { subjects: ["bob_key"] });
    const byNobody = await call("POST", path, { subjects: ["zzz_key"] });
    expect([bySubject.status, bySubject.text]).toEqual([200, byNobody.text]);
  });
});

function sameShape(a: string, b: string): boolean {
  const [as, bs] = [a.split("/"), b.split("/")];
  return (
    as.length === bs.length &&
    as.every((step, at) => step === bs[at] || step.startsWith("{") || bs[at]?.startsWith("{") === true)
  );
}
