import { readdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

import { describe, expect, it } from "vitest";

import { laterRoutes } from "../../../src/server/openmeter/later-routes.ts";
import { labelSpan, listed } from "../../../src/server/openmeter/meter-routes.ts";
import { openmeterRoutes } from "../../../src/server/openmeter/openmeter-routes.ts";
import { meterView, T0 } from "./samples.ts";

const DAY = 86_400_000;
const CALL = /client\.(GET|POST|PUT|PATCH|DELETE)\(\s*['"](\/api[^'"]*)/g;

/** Parameters under one name: what a path is called inside of its braces is nobody's business. */
const place = (path: string): string => path.replaceAll(/\{\w+\}/g, "{}");
const ours = openmeterRoutes.map(({ method, path }) => `${method.toUpperCase()} ${place(path)}`);

function callsOfTheClient(): readonly string[] {
  const main = dirname(fileURLToPath(import.meta.resolve("@openmeter/sdk")));
  const folder = join(main, "src/client");
  return readdirSync(folder)
    .filter((name) => name.endsWith(".js"))
    .flatMap((name) => [...readFileSync(join(folder, name), "utf8").matchAll(CALL)])
    .map(([, method = "", path = ""]) => `${method} ${place(path)}`);
}

describe("the routes of OpenMeter", () => {
  it("are all that its published client can call", () => {
    const calls = callsOfTheClient();
    expect(calls.length).toBeGreaterThan(130);
    expect(calls.filter((call) => !ours.includes(call))).toEqual([]);
  });

  it("are each there once", () => {
    expect(ours.length).toBe(new Set(ours).size);
  });

  it("stand at Konnect's own path too", () => {
    for (const path of ["/api/v3/openmeter/events", "/v3/openmeter/events"]) expect(ours).toContain(`POST ${path}`);
  });

  it("name every parameter of their path", () => {
    const wrong = openmeterRoutes.filter(({ path, params }) => {
      const names = [...path.matchAll(/\{(\w+)\}/g)].map(([, name = ""]) => [name, "x"] as const);
      const read = params?.safeParse(Object.fromEntries(names)).data ?? {};
      return JSON.stringify(read) !== JSON.stringify(Object.fromEntries(names));
    });
    expect(wrong.map(({ path }) => path)).toEqual([]);
  });

  it("that are for later say so, and with what", async () => {
    const [first] = laterRoutes;
    expect(laterRoutes.length).toBeGreaterThan(130);
    const reply = await first?.reply({} as never);
    expect(reply).toMatchObject({ status: 501, contentType: "application/problem+json" });
    expect(JSON.parse(String(reply?.body))).toMatchObject({
      status: 501,
      detail: expect.stringContaining("This release of meterbook has no"),
    });
  });
});

describe("the span of a question for a label's texts", () => {
  const now = T0 + 200 * DAY;

  it("is the last 24 hours, this millisecond included", () => {
    expect(labelSpan({}, now)).toEqual({ from: now + 1 - DAY, to: now + 1 });
    expect(labelSpan({ from: now - 2 * DAY }, now)).toEqual({ from: now - 2 * DAY, to: now + 1 });
  });

  it("is at most 30 days, and begins at most 90 days back", () => {
    expect(labelSpan({ from: now - 90 * DAY, to: now - 60 * DAY }, now).from).toBe(now - 90 * DAY);
    expect(() => labelSpan({ from: now - 31 * DAY }, now)).toThrow(/30 days/);
    expect(() => labelSpan({ from: now - 91 * DAY, to: now - 80 * DAY }, now)).toThrow(/90 days/);
    expect(() => labelSpan({ from: now, to: now }, now)).toThrow(/before/);
  });
});

it("meters are listed in the order that is asked for, page by page", () => {
  const meters = [
    meterView({ key: "b", name: "1", createdAt: 1 }),
    meterView({ key: "a", name: "2", createdAt: 2 }),
    meterView({ key: "c", name: "3", createdAt: 3 }),
  ];
  const keys = (query: Parameters<typeof listed>[1]) => listed(meters, query).map(({ key }) => key);
  expect(keys({})).toEqual(["b", "a", "c"]);
  expect(keys({ orderBy: "key", order: "DESC" })).toEqual(["c", "b", "a"]);
  expect(keys({ orderBy: "name", page: 2, pageSize: 2 })).toEqual(["c"]);
});
