import { describe, expect, it } from "vitest";

import { METER_TEMPLATES } from "../../src/engine/meters/templates.ts";
import { START } from "../engine/world.ts";
import { caller, type Answered } from "./caller.ts";
import { startServer } from "./rig.ts";

const iso = (ms: number): string => new Date(ms).toISOString();
const event = (id: string, tokens: unknown, more: object = {}): object => ({
  specversion: "1.0",
  id,
  source: "test",
  type: "prompt",
  subject: "acme-eu",
  time: iso(START),
  data: { tokens, model: "small" },
  ...more,
});
const meter = {
  key: "tokens_total",
  eventType: "prompt",
  aggregate: "sum",
  value: "data.tokens",
  groupBy: { model: "data.model" },
};
const CLOUD_EVENTS = { "content-type": "application/cloudevents-batch+json" };

describe("events", () => {
  it("are told one by one what became of them, and are there for the next question", async () => {
    const call = caller(await startServer());
    expect((await call("POST", "/v1/meters", meter)).status).toBe(201);
    const sent = [event("1", 5), event("1", 5), event("1", 6), event("2", "12.5"), { id: "3" }];
    const answer = await call("POST", "/v1/events", sent, CLOUD_EVENTS);
    expect(answer.status).toBe(200);
    expect(["stored", "duplicates", "conflicts", "rejected", "kept"].map((name) => answer.at(name))).toEqual([
      2,
      1,
      1,
      1,
      true,
    ]);
    expect(answer.at("results.4.problems.0.pointer")).toMatch(/^\//);
    const asked = await call("GET", "/v1/meters/tokens_total/query");
    expect(asked.at("data.0.value")).toBe("17.5");
  });

  it("keep whole numbers beyond 2^53 and long decimals", async () => {
    const call = caller(await startServer());
    await call("POST", "/v1/meters", meter);
    const text = JSON.stringify(event("1", "N")).replace('"N"', "9007199254740993.000000000001");
    expect((await call("POST", "/v1/events", text)).status).toBe(200);
    expect((await call("GET", "/v1/meters/tokens_total/query")).at("data.0.value")).toBe(
      "9007199254740993.000000000001",
    );
  });

  it("are answered shortly where that is asked for, unless it would hide something", async () => {
    const call = caller(await startServer());
    const minimal = { ...CLOUD_EVENTS, prefer: "return=minimal" };
    expect((await call("POST", "/v1/events", [event("1", 1)], minimal)).status).toBe(204);
    expect((await call("POST", "/v1/events", [event("1", 2), event("2", 1)], minimal)).status).toBe(200);
  });

  it("that are all rejected, or not all good in an atomic call, are a problem with the results", async () => {
    const call = caller(await startServer());
    const none = await call("POST", "/v1/events", [{ id: "1" }], CLOUD_EVENTS);
    expect([none.status, none.type, none.at("rejected"), none.at("kept")]).toEqual([
      400,
      "application/problem+json",
      1,
      true,
    ]);
    expect(none.at("errors.0.pointer")).toMatch(/^\/0\//);
    const atomic = await call("POST", "/v1/events?atomic=true", [event("1", 1), { id: "2" }], CLOUD_EVENTS);
    expect([atomic.status, atomic.at("kept"), atomic.at("stored")]).toEqual([400, false, 0]);
    expect((await call("GET", "/v1/events")).at("data")).toEqual([]);
  });

  it.each([
    ["text/plain", "x", 415],
    ["application/json", "{", 400],
    ["application/json", "[]", 400],
    ["application/json", `{"data":${"[".repeat(200)}${"]".repeat(200)}}`, 400],
  ])("of %s as %s are refused with %d", async (type, body, status) => {
    const call = caller(await startServer());
    expect((await call("POST", "/v1/events", body, { "content-type": type })).status).toBe(status);
  });

  it("are listed newest first, page by page, and explained", async () => {
    const call = caller(await startServer());
    await call("POST", "/v1/meters", meter);
    const many = Array.from({ length: 5 }, (_, at) => event(`e${at}`, at, { time: iso(START - at * 1_000) }));
    await call("POST", "/v1/events", many, CLOUD_EVENTS);
    const ids: unknown[] = [];
    for (let cursor: string | null = ""; cursor !== null;) {
      const page: Answered = await call(
        "GET",
        `/v1/events?limit=2${cursor === "" ? "" : `&cursor=${encodeURIComponent(cursor)}`}`,
      );
      ids.push(page.at("data.0.event.id"), page.at("data.1.event.id"));
      const next = page.at("next");
      cursor = typeof next === "string" ? next : null;
    }
    expect(ids).toEqual(["e0", "e1", "e2", "e3", "e4", undefined]);
    const explained = await call("GET", "/v1/events/e3?source=test");
    expect([explained.at("verdicts.0.counted"), explained.at("verdicts.0.value")]).toEqual([true, "3"]);
    expect(explained.at("event.time")).toBe(iso(START - 3_000));
    expect((await call("GET", "/v1/events/none")).status).toBe(404);
    expect((await call("GET", "/v1/events?limit=0")).status).toBe(400);
    expect((await call("GET", "/v1/events?form=x")).at("errors.0.pointer")).toBe("/form");
  });

  it("are voided and replaced, first as a dry run", async () => {
    const call = caller(await startServer());
    await call("POST", "/v1/meters", meter);
    await call("POST", "/v1/events", [event("1", 5), event("2", 7)], CLOUD_EVENTS);
    const value = async (): Promise<unknown> => (await call("GET", "/v1/meters/tokens_total/query")).at("data.0.value");
    const dry = await call("POST", "/v1/events/1/void", { cause: "sent twice", dryRun: true });
    expect([dry.status, dry.at("applied"), dry.at("usage.0.before"), dry.at("usage.0.after")]).toEqual([
      200,
      false,
      "12",
      "7",
    ]);
    expect(await value()).toBe("12");
    expect((await call("POST", "/v1/events/1/void", { cause: "sent twice" })).at("applied")).toBe(true);
    expect(await value()).toBe("7");
    expect((await call("POST", "/v1/events/1/void", { cause: "again" })).status).toBe(409);
    expect((await call("POST", "/v1/events/2/replace", { cause: "unit" })).status).toBe(400);
  });
});

describe("meters", () => {
  it("are previewed, made, changed and ended", async () => {
    const call = caller(await startServer());
    await call("POST", "/v1/events", [event("1", 5)], CLOUD_EVENTS);
    expect((await call("POST", "/v1/meters?dryRun=true", meter)).at("events")).toBe(1);
    expect((await call("GET", "/v1/meters")).at("data")).toEqual([]);
    const made = await call("POST", "/v1/meters", { ...meter, metadata: { team: "core" } });
    expect([made.status, made.at("key"), made.at("origin"), made.at("metadata.team")]).toEqual([
      201,
      "tokens_total",
      "api",
      "core",
    ]);
    expect((await call("POST", "/v1/meters", meter)).status).toBe(409);
    expect((await call("PATCH", "/v1/meters/tokens_total", { description: "All" })).at("description")).toBe("All");
    expect((await call("GET", `/v1/meters/${String(made.at("id"))}`)).at("description")).toBe("All");
    expect((await call("GET", "/v1/meters/tokens_total/query")).at("data.0.value")).toBe("5");
    expect((await call("GET", `/v1/meters/tokens_total/values/model?to=${iso(START + 1)}`)).at("data")).toEqual([
      "small",
    ]);
    expect((await call("DELETE", "/v1/meters/tokens_total")).status).toBe(204);
    expect((await call("GET", "/v1/meters")).at("data")).toEqual([]);
    expect((await call("GET", "/v1/meters?includeDeleted")).at("data.0.key")).toBe("tokens_total");
  });

  it.each([
    [{ ...meter, key: "Tokens" }, "/key"],
    [{ ...meter, aggregate: "median" }, "/aggregate"],
    [{ ...meter, values: "data.x" }, "/values"],
    [{ ...meter, match: [{ path: "data.x", op: "equals", value: 1 }] }, "/match/0"],
    [{ ...meter, eventFrom: "2026-02-30" }, "/eventFrom"],
  ])("with a mistake are refused: %j", async (draft, pointer) => {
    const call = caller(await startServer());
    const answer = await call("POST", "/v1/meters", draft);
    expect([answer.status, String(answer.at("errors.0.pointer")).startsWith(pointer)]).toEqual([400, true]);
  });

  it("come from templates, whose preview can be posted as it is", async () => {
    const call = caller(await startServer({ templates: METER_TEMPLATES }));
    const list = await call("GET", "/v1/meter-templates");
    expect(JSON.stringify(list.at("data"))).toContain("agent_runs_total");
    const key = String(list.at("data.0.key"));
    const one = await call("GET", `/v1/meter-templates/${key}`);
    expect([one.at("isTaken"), one.at("effect.events")]).toEqual([false, 0]);
    expect((await call("POST", "/v1/meters", one.at("meter"))).status).toBe(201);
    expect((await call("GET", `/v1/meter-templates/${key}`)).at("isTaken")).toBe(true);
    expect((await call("GET", "/v1/meter-templates/none")).status).toBe(404);
  });
});

describe("usage", () => {
  it("is asked by window, zone, label and filter, as a query and as a body", async () => {
    const call = caller(await startServer());
    await call("POST", "/v1/meters", meter);
    const sent = [
      event("1", 5),
      event("2", 7, { time: iso(START - 3_600_000), data: { tokens: 7, model: "large" } }),
      event("3", 1, { subject: "globex" }),
    ];
    await call("POST", "/v1/events", sent, CLOUD_EVENTS);
    const byHour = await call(
      "GET",
      `/v1/meters/tokens_total/query?windowSize=HOUR&groupBy=model&from=${iso(START - 3_600_000)}`,
    );
    expect(byHour.at("data.0.group.model")).toBe("large");
    const body = {
      windowSize: "PT15M",
      timeZone: "Asia/Kathmandu",
      filters: { model: ["small"] },
      subjects: ["acme-eu"],
    };
    const posted = await call("POST", "/v1/meters/tokens_total/query", body);
    expect([posted.at("data.0.value"), posted.at("data.0.subject"), posted.at("data.1")]).toEqual([
      "5",
      "acme-eu",
      undefined,
    ]);
    const search = "windowSize=15m&timeZone=Asia/Kathmandu&filters[model][in][]=small&subjects=acme-eu";
    expect((await call("GET", `/v1/meters/tokens_total/query?${search}`)).text).toBe(posted.text);
  });

  it("is a table where that is asked for, and no formula runs in it", async () => {
    const call = caller(await startServer());
    await call("POST", "/v1/meters", meter);
    await call("POST", "/v1/events", [event("1", -5, { subject: '=cmd|"x"' })], CLOUD_EVENTS);
    const table = await call("GET", "/v1/meters/tokens_total/query?groupBy=subject&windowSize=DAY", undefined, {
      accept: "text/csv",
    });
    expect(table.type).toContain("text/csv");
    const [header, line] = table.text.split("\r\n");
    expect(header).toBe("window_start,window_end,subject,value,events");
    expect(line).toContain(`"'=cmd|""x"""`);
  });

  it.each([
    "windowSize=FORTNIGHT",
    "windowSize=0m",
    "timeZone=Mars/Olympus",
    "from=2026-01-02&to=2026-01-01",
    "from=yesterday",
    "groupBy=unknown_label",
    "filters[model][near]=x",
    "fill=perhaps",
    "window=DAY",
  ])("that is asked for wrongly is refused: %s", async (search) => {
    const call = caller(await startServer());
    await call("POST", "/v1/meters", meter);
    expect((await call("GET", `/v1/meters/tokens_total/query?${search}`)).status).toBe(400);
  });

  it("of a meter that is not there is not found", async () => {
    const call = caller(await startServer());
    expect((await call("GET", "/v1/meters/none/query")).status).toBe(404);
    expect((await call("GET", "/v1/queries/none")).status).toBe(404);
  });
});

describe("customers, subjects, keys and the books", () => {
  it("customers are made, found, listed in pages, changed and ended", async () => {
    const call = caller(await startServer());
    const made = await call("POST", "/v1/customers", { name: "Acme", key: "acme", subjects: ["acme-eu"] });
    expect([made.status, made.at("subjects.0.subject")]).toEqual([201, "acme-eu"]);
    const taken = await call("POST", "/v1/customers", { name: "Globex", subjects: ["acme-eu"] });
    expect(taken.status).toBe(409);
    await call("POST", "/v1/customers", { name: "Globex", key: "globex" });
    const page: Answered = await call("GET", "/v1/customers?limit=1");
    const next = await call("GET", `/v1/customers?limit=1&cursor=${String(page.at("next"))}`);
    expect(new Set([page.at("data.0.key"), next.at("data.0.key")])).toEqual(new Set(["acme", "globex"]));
    expect(next.at("next")).toBeNull();
    expect((await call("GET", "/v1/customers?cursor=x")).status).toBe(400);
    expect((await call("PUT", "/v1/customers/acme", { name: "Acme Inc", key: "acme" })).at("name")).toBe("Acme Inc");
    expect((await call("DELETE", "/v1/customers/acme")).status).toBe(204);
    expect((await call("GET", "/v1/customers?includeDeleted=false")).at("data.1")).toBeUndefined();
  });

  it("subjects get names, and lose them", async () => {
    const call = caller(await startServer());
    expect((await call("PUT", "/v1/subjects/acme-eu", { displayName: "Acme" })).at("displayName")).toBe("Acme");
    expect((await call("GET", "/v1/subjects/acme-eu")).at("key")).toBe("acme-eu");
    expect((await call("GET", "/v1/subjects")).at("data.0.key")).toBe("acme-eu");
    expect((await call("DELETE", "/v1/subjects/acme-eu")).status).toBe(204);
    expect((await call("GET", "/v1/subjects/acme-eu")).status).toBe(404);
  });

  it("a key is shown once, and never again", async () => {
    const served = await startServer();
    const made = await caller(served)("POST", "/v1/keys", { name: "ops", scopes: ["admin"] });
    const key = String(made.at("key"));
    const call = caller(served, key);
    const id = String(made.at("id"));
    const shown = [await call("GET", "/v1/keys"), await call("GET", `/v1/keys/${id}`)];
    for (const { status, text } of shown)
      expect([status, text.includes(key), text.includes("digest")]).toEqual([200, false, false]);
    expect((await call("POST", "/v1/keys", { name: "x", scopes: [] })).status).toBe(400);
    expect((await call("DELETE", "/v1/keys/none1234")).status).toBe(404);
    expect((await call("DELETE", `/v1/keys/${id}`)).status).toBe(204);
    expect((await call("GET", "/v1/keys")).status).toBe(401);
  });

  it("the books are shown, and what is held can be decided", async () => {
    const call = caller(await startServer());
    await call("POST", "/v1/meters", meter);
    await call("POST", "/v1/events", [event("1", undefined)], CLOUD_EVENTS);
    const held = await call("GET", "/v1/held");
    expect([held.at("events.0.id"), held.at("events.0.reason")]).toEqual(["1", "missing_value"]);
    expect((await call("GET", "/v1/status")).at("heldEvents")).toBe(1);
    expect((await call("POST", "/v1/held/events/none/assign", { company: "acme" })).status).toBe(404);
    expect((await call("POST", "/v1/held/reports/7/resolve", { as: "resend", cause: "lost" })).status).toBe(404);
    expect((await call("POST", "/v1/held/reports/x/resolve", { as: "resend", cause: "lost" })).status).toBe(400);
    expect((await call("GET", "/readyz")).text).toBe('{"ready":true}');
  });
});
