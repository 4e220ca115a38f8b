import { validate } from "@readme/openapi-parser";
import { describe, expect, it } from "vitest";

import { START } from "../engine/world.ts";
import { serveOpenmeter, type ServedOpenmeter } from "./openmeter/served.ts";

const AT = new Date(START - 60_000).toISOString();
const event = (id: string, part: object = {}) => ({
  specversion: "1.0",
  id,
  source: "app",
  type: "prompt",
  subject: "s1",
  time: AT,
  ...part,
});
const BATCH = { "content-type": "application/cloudevents-batch+json" };
const SPAN = "?from=2026-01-01T00:00:00Z&to=2026-01-02T00:00:00Z";
const SUM = { slug: "tokens_total", eventType: "prompt", aggregation: "SUM", valueProperty: "$.tokens" };

async function withMeter(part: object = {}): Promise<ServedOpenmeter> {
  const served = await serveOpenmeter();
  expect((await served.call("POST", "/api/v1/meters", { body: { ...SUM, ...part } })).status).toBe(201);
  return served;
}

const of = (id: string, subject: string, model: string) => event(id, { subject, data: { tokens: 1, model } });

describe("events of OpenMeter's wire", () => {
  it("are answered with 204 or 202 and nothing else, in every content type", async () => {
    const { call } = await withMeter();
    const one = JSON.stringify(event("1"));
    const many = JSON.stringify([event("2"), event("3")]);
    const single = { "content-type": "application/cloudevents+json; charset=utf-8" };
    expect(await call("POST", "/api/v1/events", { text: one, headers: single })).toMatchObject({
      status: 204,
      text: "",
    });
    expect(await call("POST", "/api/v1/events", { text: many, headers: BATCH })).toMatchObject({
      status: 204,
      text: "",
    });
    expect(await call("POST", "/api/v3/openmeter/events", { text: many })).toMatchObject({ status: 202, text: "" });
    const refused = await call("POST", "/api/v1/events", { text: one, headers: { "content-type": "text/plain" } });
    expect(refused).toMatchObject({ status: 400, type: "application/problem+json" });
  });

  it("with the same id and another source are other events", async () => {
    const { call } = await withMeter({ aggregation: "COUNT", valueProperty: undefined });
    const sent = [event("1"), event("1"), event("1", { source: "other" })];
    await call("POST", "/api/v1/events", { body: sent, headers: BATCH });
    const { json } = await call("GET", "/api/v1/meters/tokens_total/query");
    expect(json).toMatchObject({ data: [{ value: 2 }] });
  });

  it("that are wrong make a problem that says what was stored, without a charset", async () => {
    const { call } = await withMeter();
    const { subject: _, ...nobody } = event("2");
    const answer = await call("POST", "/api/v1/events", { body: [event("1"), nobody], headers: BATCH });
    expect(answer).toMatchObject({
      status: 400,
      type: "application/problem+json",
      json: {
        title: "Bad Request",
        status: 400,
        extensions: { stored: 1, rejected: 1, validationErrors: [{ index: 1, pointer: "/1/subject" }] },
      },
    });
    const listed = await call("GET", "/api/v1/events");
    expect(listed.json).toMatchObject([{ event: { id: "1" } }]);
    const again = await call("POST", "/api/v1/events", { body: [event("1", { subject: "s2" })], headers: BATCH });
    expect(again).toMatchObject({ status: 204, text: "" });
    expect(again.headers.get("meterbook-conflicts")).toBe("1");
    const atomic = { body: [event("1", { subject: "s2" })], headers: BATCH };
    expect((await call("POST", "/api/v1/events?atomic=true", atomic)).status).toBe(409);
    expect((await call("GET", "/api/v1/events")).json).toMatchObject([{ event: { id: "1", subject: "s1" } }]);
  });

  it("are all kept or none with atomic=true", async () => {
    const { call } = await withMeter();
    const body = [event("1"), event("2", { data: "text" })];
    expect(await call("POST", "/api/v1/events?atomic=true", { body, headers: BATCH })).toMatchObject({
      status: 400,
      json: { extensions: { stored: 0 } },
    });
    expect((await call("GET", "/api/v1/events")).json).toEqual([]);
  });

  it("are told of one by one to who prefers that", async () => {
    const { call } = await withMeter();
    const headers = { ...BATCH, prefer: "return=representation" };
    const answer = await call("POST", "/api/v1/events", { body: [event("1"), event("1")], headers });
    expect(answer.headers.get("preference-applied")).toBe("return=representation");
    expect(answer).toMatchObject({
      status: 200,
      json: { stored: 1, duplicates: 1, results: [{ status: "stored" }, { status: "duplicate" }] },
    });
  });
});

describe("queries of OpenMeter's wire", () => {
  it("are exact: tenths add up, and great numbers keep their digits", async () => {
    const { call } = await withMeter();
    const text = `[${[`0.1`, `0.2`].map((value, at) => JSON.stringify(event(`a${at}`)).replace("}", `,"data":{"tokens":${value}}}`)).join(",")}]`;
    await call("POST", "/api/v1/events", { text, headers: BATCH });
    expect((await call("GET", "/api/v1/meters/tokens_total/query")).text).toContain('"value":0.3,');
    const great = `[${JSON.stringify(event("b")).replace("}", ',"data":{"tokens":9007199254740992.7}}')}]`;
    await call("POST", "/api/v1/events", { text: great, headers: BATCH });
    expect((await call("GET", "/api/v1/meters/tokens_total/query")).text).toContain('"value":9007199254740993,');
    const v3 = await call("POST", "/api/v3/openmeter/meters/tokens_total/query", { body: {} });
    expect(v3.json).toMatchObject({ data: [{ value: "9007199254740993" }] });
  });

  it("without a window have the bounds of the query, otherwise the minutes of the usage", async () => {
    const { call } = await withMeter();
    await call("POST", "/api/v1/events", { body: [event("1", { data: { tokens: 1 } })], headers: BATCH });
    const bounds = { from: new Date(START - 7_000_000).toISOString(), to: new Date(START).toISOString() };
    const stated = await call("GET", `/api/v1/meters/tokens_total/query?${new URLSearchParams(bounds).toString()}`);
    expect(stated.json).toMatchObject({ ...bounds, data: [{ windowStart: bounds.from, windowEnd: bounds.to }] });
    const open = await call("GET", "/api/v1/meters/tokens_total/query");
    const minute = { windowStart: AT, windowEnd: new Date(START).toISOString() };
    expect(open.json).toEqual({ data: [{ value: 1, ...minute, subject: null, groupBy: {} }] });
  });

  it("take arrays as repeated names and as brackets, and nested filters", async () => {
    const { call } = await withMeter({ groupBy: { model: "$.model" } });
    await call("POST", "/api/v1/events", {
      body: [of("1", "a", "x"), of("2", "b", "x"), of("3", "c", "x"), of("4", "a", "y")],
      headers: BATCH,
    });
    const path = "/api/v1/meters/tokens_total/query?subject=a&subject=b&filterGroupBy[model]=x&groupBy=model";
    expect((await call("GET", path)).json).toMatchObject({
      data: [
        { value: 1, subject: "a", groupBy: { model: "x" } },
        { value: 1, subject: "b", groupBy: { model: "x" } },
      ],
    });
  });

  it("are answered as a table to who asks for one", async () => {
    const { call } = await withMeter({ groupBy: { model: "$.model" } });
    await call("PUT", "/api/v1/meters/tokens_total", { body: { name: "T" } });
    await call("POST", "/api/v1/subjects", { body: [{ key: "s1", displayName: "=One" }] });
    await call("POST", "/api/v1/events", { body: [event("1", { data: { tokens: 2, model: "m" } })], headers: BATCH });
    const headers = { accept: "text/csv" };
    const table = await call("GET", "/api/v1/meters/tokens_total/query?groupBy=model&groupBy=subject", { headers });
    expect(table.type).toMatch(/^text\/csv/);
    const end = new Date(START).toISOString();
    expect(table.text).toBe(
      `window_start,window_end,subject,subject_display_name,model,value\r\n${AT},${end},s1,'=One,m,2.000000\r\n`,
    );
  });

  it("say what is wrong under the names of the wire", async () => {
    const { call } = await withMeter();
    for (const [query, name] of [
      ["windowTimeZone=Mars/Base", "windowTimeZone"],
      ["groupBy=nope", "groupBy"],
      ["filterCustomerId=nobody", "filterCustomerId"],
      ["windowSize=SECOND", "windowSize"],
    ]) {
      const answer = await call("GET", `/api/v1/meters/tokens_total/query?${query}`);
      expect(answer).toMatchObject({ status: 400, type: "application/problem+json" });
      expect(JSON.stringify(answer.json)).toContain(`"in":"query","pointer":"/${name}`);
    }
  });
});

describe("what is empty on OpenMeter's wire", () => {
  it("is one row of 0 for COUNT and UNIQUE_COUNT, and no row for the others", async () => {
    const { call } = await withMeter();
    await call("POST", "/api/v1/meters", { body: { slug: "runs", eventType: "p", aggregation: "COUNT" } });
    const distinct = { slug: "users", eventType: "p", aggregation: "UNIQUE_COUNT", valueProperty: "$.user" };
    await call("POST", "/api/v1/meters", { body: distinct });
    const rows = async (slug: string) => (await call("GET", `/api/v1/meters/${slug}/query${SPAN}`)).json;
    expect(await rows("runs")).toMatchObject({ data: [{ value: 0 }] });
    expect(await rows("users")).toMatchObject({ data: [{ value: 0 }] });
    expect(await rows("tokens_total")).toMatchObject({ data: [] });
  });
});

describe("lists of OpenMeter's wire", () => {
  it("are plain for v1 meters and subjects, and pages elsewhere", async () => {
    const { call } = await withMeter();
    expect((await call("GET", "/api/v1/meters")).json).toHaveLength(1);
    expect((await call("GET", "/api/v1/subjects")).json).toEqual([]);
    expect((await call("GET", "/api/v1/customers")).json).toEqual({ items: [], page: 1, pageSize: 100, totalCount: 0 });
    expect((await call("GET", "/api/v3/openmeter/meters")).json).toMatchObject({
      data: [{ key: "tokens_total" }],
      meta: { page: { number: 1, size: 20, total: 1 } },
    });
  });

  it("of v3 are narrowed by filters in brackets, sorted and paged", async () => {
    const { call, clock } = await serveOpenmeter();
    for (const key of ["acme", "beta", "acorn"]) {
      clock.advance(1);
      const body = { key, name: key.toUpperCase(), usage_attribution: { subject_keys: [`${key}-1`] } };
      expect((await call("POST", "/api/v3/openmeter/customers", { body })).status).toBe(201);
    }
    const keys = async (query: string) => {
      const { json } = await call("GET", `/api/v3/openmeter/customers?${query}`);
      return JSON.stringify(json).match(/(?<="key":")\w+/g) ?? [];
    };
    expect(await keys("filter[key]=acme")).toEqual(["acme"]);
    expect(await keys("filter[key][oeq]=beta,acorn")).toEqual(["acorn", "beta"]);
    expect(await keys("filter[name][contains]=ac&sort=created_at%20desc")).toEqual(["acorn", "acme"]);
    expect(await keys("filter[usage_attribution_subject_key][eq]=beta-1")).toEqual(["beta"]);
    expect(await keys("page[size]=2&page[number]=2&sort=id")).toEqual(["acorn"]);
    expect((await call("GET", "/api/v3/openmeter/customers?filter[plan_key]=x")).status).toBe(400);
    expect((await call("GET", "/api/v3/openmeter/customers?sort=plan")).status).toBe(400);
  });

  it("of v2's events find what only reading can, page by page to the end", async () => {
    const { call } = await withMeter();
    const body = Array.from({ length: 60 }, (_, at) =>
      event(`e${at}`, { time: new Date(START - at * 1_000).toISOString() }),
    );
    await call("POST", "/api/v1/events", { body, headers: BATCH });
    const filter = encodeURIComponent(JSON.stringify({ id: { $like: "e_7" } }));
    const found: string[] = [];
    for (let cursor = "", pages = 0; pages < 60; pages += 1) {
      const { text } = await call("GET", `/api/v2/events?limit=2&filter=${filter}${cursor}`);
      found.push(...(text.match(/(?<="id":")e\d+/g) ?? []));
      const next = /"nextCursor":"([^"]+)"/.exec(text)?.[1];
      if (next === undefined) break;
      cursor = `&cursor=${encodeURIComponent(next)}`;
    }
    expect(found).toEqual(["e17", "e27", "e37", "e47", "e57"]);
    expect((await call("GET", "/api/v2/events?cursor=nonsense")).status).toBe(400);
    expect((await call("GET", "/api/v2/events?limit=101")).status).toBe(400);
  });

  it("of v3's events lead from page to page", async () => {
    const { call } = await withMeter();
    const body = ["1", "2", "3"].map((id, at) => event(id, { time: new Date(START - at * 1_000).toISOString() }));
    await call("POST", "/api/v3/openmeter/events", { body });
    const path = "/api/v3/openmeter/events";
    const first = await call("GET", `${path}?page[size]=2&filter[type][eq]=prompt`);
    expect(first.json).toMatchObject({
      data: [{ event: { id: "1" } }, { event: { id: "2" } }],
      meta: { page: { size: 2 } },
    });
    const next = /"next":"([^"]+)"/.exec(first.text)?.[1] ?? "";
    const second = await call("GET", `${path}${next}`);
    expect(second.json).toMatchObject({ data: [{ event: { id: "3" } }] });
    expect(second.text).not.toContain('"next"');
  });
});

describe("meters of OpenMeter's wire", () => {
  it("COUNT with a value is refused, and everything else needs one", async () => {
    const { call } = await serveOpenmeter();
    const count = await call("POST", "/api/v1/meters", { body: { ...SUM, aggregation: "COUNT" } });
    expect(count).toMatchObject({ status: 400, json: { errors: [{ pointer: "/valueProperty" }] } });
    const { value_property: _, ...v3 } = { key: "t", event_type: "p", aggregation: "avg", value_property: "$.x" };
    const avg = await call("POST", "/api/v3/openmeter/meters", { body: v3 });
    expect(avg).toMatchObject({ status: 400, json: { errors: [{ pointer: "/value_property" }] } });
  });

  it("say under the wire's names what the engine finds wrong", async () => {
    const { call } = await serveOpenmeter();
    const wrong = { ...SUM, slug: "Not A Slug", groupBy: { "1x": "$.a" } };
    const v1 = await call("POST", "/api/v1/meters", { body: wrong });
    expect(v1.status).toBe(400);
    expect(v1.text).toContain('"/slug"');
    expect(v1.text).toContain('"/groupBy/1x"');
    const v3 = await call("POST", "/api/v3/openmeter/meters", {
      body: { key: "t", event_type: "om.reserved", aggregation: "count", dimensions: { "1x": "$.a" } },
    });
    expect(v3.text).toContain('"/event_type"');
    expect(v3.text).toContain('"/dimensions/1x"');
  });

  it("a label may bear a name that every object has", async () => {
    const { call } = await withMeter({ groupBy: { constructor: "$.constructor" } });
    await call("POST", "/api/v1/events", {
      body: [event("1", { data: { tokens: 1, constructor: "x" } })],
      headers: BATCH,
    });
    const { json } = await call("GET", "/api/v1/meters/tokens_total/query?groupBy=constructor");
    expect(json).toMatchObject({ data: [{ value: 1, groupBy: { constructor: "x" } }] });
  });
});

describe("a portal's query on OpenMeter's wire", () => {
  const path = "/api/v1/portal/meters/tokens_total/query";

  it("is open to portal tokens alone: not to keys, nor to this machine", async () => {
    const { call, key } = await withMeter();
    const token = await call("POST", "/api/v1/portal/tokens", { body: { subject: "s1" } });
    const text = /mbp_[\w-]+/.exec(token.text)?.[0] ?? "";
    expect((await call("GET", path)).status).toBe(401);
    const answers = [text, await key("admin"), `${text}x`].map((bearer) =>
      call("GET", path, { headers: { authorization: `Bearer ${bearer}` } }),
    );
    expect((await Promise.all(answers)).map(({ status }) => status)).toEqual([200, 401, 401]);
    const basic = await call("GET", path, { headers: { authorization: "Basic eDp5" } });
    expect(basic).toMatchObject({ status: 400, type: "application/problem+json" });
  });

  it("cannot be turned to another subject or customer", async () => {
    const { call } = await withMeter();
    const body = ["s1", "s2"].map((subject) => event(subject, { subject, data: { tokens: 1 } }));
    await call("POST", "/api/v1/events", { body, headers: BATCH });
    const token = await call("POST", "/api/v1/portal/tokens", { body: { subject: "s1" } });
    const headers = { authorization: `Bearer ${/mbp_[\w-]+/.exec(token.text)?.[0] ?? ""}` };
    for (const query of ["", "?subject=s2", "?filterGroupBy[subject]=s1", "?groupBy=subject", "?filterCustomerId=x"]) {
      const { json } = await call("GET", path + query, { headers });
      expect(json).toMatchObject({ data: [{ value: 1, subject: "s1" }] });
    }
    expect((await call("GET", `${path}?filterGroupBy[subject]=s2`, { headers })).json).toEqual({ data: [] });
  });

  it("ends with its token's hour", async () => {
    const { call, clock } = await withMeter();
    const token = await call("POST", "/api/v1/portal/tokens", { body: { subject: "s1" } });
    const headers = { authorization: `Bearer ${/mbp_[\w-]+/.exec(token.text)?.[0] ?? ""}` };
    clock.advance(3_599_999);
    expect((await call("GET", path, { headers })).status).toBe(200);
    clock.advance(1);
    expect((await call("GET", path, { headers })).status).toBe(401);
  });
});

it("the OpenAPI document has the whole wire, and is valid", async () => {
  const { call, router } = await serveOpenmeter();
  const { text } = await call("GET", "/openapi.json");
  const document: { readonly paths: Readonly<Record<string, object>> } = JSON.parse(text);
  expect(await validate(JSON.parse(text))).toMatchObject({ valid: true });
  const documented = Object.values(document.paths).flatMap((methods) => Object.keys(methods));
  expect(documented).toHaveLength(router.routes.length);
});
