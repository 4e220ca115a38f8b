import { expect, it } from "vitest";

import { closePeriods } from "../../src/engine/periods/close-periods.ts";
import { putGuide } from "../../src/engine/periods/guides.ts";
import { storedCatalog } from "../../src/engine/ingest/catalog-versions.ts";
import { manualClock } from "../../src/testing/manual-clock.ts";
import { FEBRUARY, JANUARY_10, LATENESS, session, sessions } from "../engine/periods/metered-stream.ts";
import { startServer } from "./rig.ts";
import { hosted } from "./hosted-backend.ts";

/** An answer with its JSON; `data` of lists, `id` of things. */
interface Answer {
  readonly status: number;
  readonly body: { readonly id: string; readonly data: readonly unknown[] };
}

/** A service whose store has the guide of sessions, and calls to it. */
async function service() {
  const clock = manualClock(JANUARY_10);
  const { backend, node } = await hosted({ clock });
  const { store } = node;
  await putGuide({ store, now: clock.now(), newId: () => "guide", author: "file" }, sessions);
  const { url } = await startServer({ clock, backend });
  const call = async (method: string, path: string, body?: unknown): Promise<Answer> => {
    const response = await fetch(url + path, {
      method,
      ...(body === undefined ? {} : { body: JSON.stringify(body), headers: { "content-type": "application/json" } }),
    });
    const text = await response.text();
    return { status: response.status, body: text === "" ? null : JSON.parse(text) };
  };
  return { clock, store, call };
}

it("The tutorial's calls work over HTTP: types, meters, records, suspense, final records, purge", async () => {
  const { clock, store, call } = await service();
  const type = await call("POST", "/v1/meter-types", {
    name: "L1_Llama3",
    category: "L1_API_Requests",
    unit: "API request",
    aggregation: "sum",
    resetSchedule: { minute: "0", hour: "0", day: "1" },
    timezone: "Etc/UTC",
    capacity: 100,
    thresholds: [{ name: "half", capacityPercentage: "50" }],
  });
  expect(type).toMatchObject({ status: 201, body: { name: "L1_Llama3", capacity: "100", activeFrom: null } });
  expect((await call("GET", "/v1/meter-types?name=L1_Llama3")).body.data).toEqual([type.body]);
  const meter = await call("POST", "/v1/buckets", {
    userId: "FinTech",
    meterKey: "botbot",
    meterType: "L1_Llama3",
    customFields: { tier: "gold" },
  });
  expect(meter).toMatchObject({ status: 201, body: { periodEnd: "2026-02-01T00:00:00.000Z", meterKey: "botbot" } });
  clock.set(Date.parse("2026-01-20T00:00:00Z"));
  const taken = await call("POST", "/v1/records/botbot", {
    records: [session("a", { apiCalls: 60 }), session("a", { apiCalls: 60 }), session("b", { region: "unknown" })],
  });
  expect(taken).toMatchObject({ status: 200, body: { stored: 2, duplicates: 1, suspended: 1, unmatched: 0 } });
  const stray = [session("stray", { apiCallsType: "L9" })];
  const strayed = await call("POST", "/v1/records/botbot", { records: stray });
  expect(strayed).toMatchObject({ status: 200, body: { stored: 1, suspended: 0, unmatched: 1 } });
  expect((await call("POST", "/v1/records/botbot", { records: stray })).body).toMatchObject({ unmatched: 0 });
  expect((await call("GET", `/v1/buckets/${meter.body.id}`)).body).toMatchObject({ value: "60", reached: ["half"] });
  const [early] = (await call("GET", "/v1/final-records?kind=threshold")).body.data;
  expect(early).toMatchObject({ kind: "threshold", value: "60", metadata: { tier: "gold" } });
  expect((await call("GET", "/v1/suspense/counts")).body.data).toEqual([{ reason: "invalid_record", records: 1 }]);
  const [bad] = (await call("GET", "/v1/suspense?meterKey=botbot")).body.data;
  expect(bad).toMatchObject({ id: "b", reason: "invalid_record", record: { region: "unknown" } });
  const replay = { set: { "data.region": "APAC" }, cause: "asked the customer" };
  const replayed = await call("POST", "/v1/suspense/b/replay", replay);
  expect(replayed).toMatchObject({ status: 200, body: { applied: true, problems: [] } });
  expect((await call("GET", "/v1/suspense")).body.data).toEqual([]);
  expect((await call("POST", "/v1/suspense/b/replay", replay)).status).toBe(409);
  clock.set(FEBRUARY + LATENESS);
  const catalog = storedCatalog(await store.meterVersions());
  await closePeriods({ store, catalog, now: clock.now(), latenessMs: LATENESS, sinks: [] });
  const final = await call("GET", "/v1/final-records?kind=final&meterKey=botbot&userId=FinTech");
  expect(final.body.data).toMatchObject([{ value: "70", records: 2, revision: 1 }]);
  expect((await call("DELETE", "/v1/meter-types/L1_Llama3")).status).toBe(409);
  for (const unknown of ["meterKey=botbit", "meterType=L1_Llama"])
    expect(await call("DELETE", `/v1/buckets?${unknown}`)).toMatchObject({
      status: 404,
      body: { code: "METER_NOT_FOUND", detail: expect.stringContaining("Did you mean") },
    });
  expect((await call("DELETE", "/v1/buckets?meterKey=botbot&dryRun")).body).toMatchObject({
    meters: 1,
    applied: false,
  });
  expect((await call("DELETE", "/v1/buckets?meterKey=botbot")).body).toMatchObject({ meters: 1, applied: true });
  expect((await call("DELETE", "/v1/meter-types/L1_Llama3")).status).toBe(204);
  expect((await call("GET", "/v1/final-records")).body.data).toHaveLength(2);
});

it("What is wrong with a call is told by place, and what is not there is not found", async () => {
  const { call } = await service();
  const bad = { name: "t", category: "c", timezone: "Mars", thresholds: [{ name: "x" }] };
  const refused = await call("POST", "/v1/meter-types", bad);
  expect(refused.status).toBe(400);
  expect(JSON.stringify(refused.body)).toContain("/thresholds/0");
  expect((await call("POST", "/v1/meter-types", { ...bad, colour: "red" })).status).toBe(400);
  expect((await call("GET", "/v1/meter-types/none")).status).toBe(404);
  expect((await call("GET", "/v1/buckets/none")).status).toBe(404);
  expect((await call("PATCH", "/v1/buckets/none", { deleteOnReset: true })).status).toBe(404);
  expect((await call("POST", "/v1/records/none", { records: [{}] })).status).toBe(404);
  expect((await call("POST", "/v1/suspense/none/replay", { cause: "x" })).status).toBe(404);
  expect((await call("DELETE", "/v1/buckets")).status).toBe(400);
});
