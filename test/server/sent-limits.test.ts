import { describe, expect, it } from "vitest";

import { MeterbookError } from "../../src/core/errors.ts";
import type { Backend } from "../../src/server/backend.ts";
import { manualClock } from "../../src/testing/manual-clock.ts";
import { START } from "../engine/world.ts";
import { allRoutes } from "./all-routes.ts";
import { caller } from "./caller.ts";
import { hostedBackend } from "./hosted-backend.ts";
import { startServer } from "./rig.ts";

const event = (id: string, note = ""): object => ({
  specversion: "1.0",
  id,
  source: "test",
  type: "prompt",
  subject: "ann",
  ...(note === "" ? {} : { data: { note } }),
});
const BATCH = { "content-type": "application/cloudevents-batch+json" };
const ROUTES = ["/v1/events", "/api/v1/events", "/api/v3/openmeter/events"];

describe("the bounds that the operator sets for events", () => {
  it.each(ROUTES)("hold at %s: a call of more events is refused whole, and says how many it takes", async (path) => {
    const call = caller(await startServer({ hosted: { server: { limits: { batchEvents: 2 } } }, routes: allRoutes }));
    const three = await call(
      "POST",
      path,
      ["a", "b", "c"].map((id) => event(id)),
      BATCH,
    );
    expect([three.status, three.type, three.at("code")]).toEqual([
      413,
      "application/problem+json",
      "METER_REQUEST_INVALID",
    ]);
    expect(three.at("detail")).toBe("A call takes 2 events, and this one has 3.");
    expect((await call("GET", "/v1/events")).at("data.0")).toBeUndefined();
    expect(
      (
        await call(
          "POST",
          path,
          ["a", "b"].map((id) => event(id)),
          BATCH,
        )
      ).status,
    ).toBeLessThan(300);
    expect((await call("GET", "/v1/events")).at("data.1")).toBeDefined();
  });

  it("hold for one event: a larger one is rejected by its place, the others are stored", async () => {
    const call = caller(await startServer({ hosted: { server: { limits: { eventBytes: 1_000 } } } }));
    const sent = await call("POST", "/v1/events", [event("a", "x".repeat(1_000)), event("b", "x".repeat(500))], BATCH);
    expect([sent.at("stored"), sent.at("rejected")]).toEqual([1, 1]);
    expect(sent.at("results.0.problems.0.message")).toBe("an event has at most 1000 characters");
  });

  it("hold for a body after inflating, also where they are higher than what is standard", async () => {
    const server = { limits: { bodyBytes: 20 * 1024 * 1024, inflatedBytes: 30 * 1024 * 1024 } };
    const call = caller(await startServer({ hosted: { server } }));
    const text = JSON.stringify([event("a")]) + " ".repeat(18 * 1024 * 1024);
    expect((await call("POST", "/v1/events", text, BATCH)).at("stored")).toBe(1);
  });
});

function fail(error: Error): never {
  throw error;
}

describe("events", () => {
  it.each(ROUTES)("at %s that the store did not take are never answered as if they were stored", async (path) => {
    const clock = manualClock(START);
    const backend = await hostedBackend({ clock });
    const failing = (error: Error): Backend =>
      Object.defineProperty({ ...backend, ingest: async () => fail(error) }, "settings", {
        get: () => backend.settings,
      });
    const send = async (over: Backend): Promise<readonly [number, string | null]> => {
      const call = caller(await startServer({ clock, backend: over, routes: allRoutes }));
      const { status, type } = await call("POST", path, [event("a")], { ...BATCH, prefer: "return=minimal" });
      return [status, type];
    };
    const problem = "application/problem+json";
    expect(await send(failing(new MeterbookError("METER_STORE_FAILED", "The disk is full.")))).toEqual([503, problem]);
    expect(await send(failing(new MeterbookError("METER_SERVER_BUSY", "Not now.")))).toEqual([503, problem]);
    expect(await send(failing(new Error("anything")))).toEqual([500, problem]);
  });
});
