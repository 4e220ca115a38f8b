import { describe, expect, it } from "vitest";

import { DEFAULT_SERVER } from "../../src/config/server-rules.ts";
import { EXAMPLE } from "./example.ts";
import { accepted, meter, printed, read } from "./reading.ts";

const stripe = (lines: string): string =>
  `version: 1\nmeters: { m: { aggregate: count } }\nbilling:\n  stripe:\n${lines.replaceAll(/^/gm, "    ")}\n`;

const pathOf = (value: string, variables: Record<string, string>): string => {
  const reading = read(`version: 1\nmeters: {}\nstorage: { path: '${value}' }\n`, { env: variables });
  return reading.ok ? reading.settings.storage.path : printed(reading);
};

const plan = (price: string): string =>
  `version: 1\nmeters: { m: { aggregate: count } }\nplans:\n  p:\n    currency: eur\n    prices:\n      - ${price}\n`;

describe("the example", () => {
  it("is accepted as it is printed, without a warning", () => {
    const reading = read(EXAMPLE);
    expect(reading).toEqual({
      ok: true,
      warnings: [],
      settings: {
        version: 1,
        file: "/app/meterbook.yaml",
        storage: { path: "/app/data/meter.db", keepEventsMs: 400 * 86_400_000, durability: "process" },
        identity: {
          companyId: ["hook", "request.user.companyId", "request.auth.orgId"],
          userId: ["hook"],
          unknown: "hold",
        },
        fields: {
          billable_tokens:
            'number(response.headers["x-tokens-used"]) - number(response.headers[?"x-tokens-cached"].orValue("0"))',
        },
        meters: [
          {
            key: "chat_tokens",
            name: "Chat tokens",
            unit: "token",
            eventType: null,
            match: [
              { path: "request.route", op: "eq", value: "/chat" },
              { path: "response.status", op: "eq", value: 200 },
            ],
            aggregate: "sum",
            value: "response.headers.X-Tokens-Used",
            groupBy: { model: "request.body.model" },
            missingValue: "hold",
            allowNegative: false,
            report: true,
            reportAs: "chat_tokens",
          },
        ],
        plans: [
          {
            key: "test_plan",
            name: "Test Plan",
            currency: "usd",
            every: "month",
            prices: [
              {
                meter: "chat_tokens",
                model: "perUnit",
                unitAmount: "0.002",
                flatAmount: null,
                packageSize: null,
                tiers: [],
              },
            ],
          },
        ],
        billing: {
          stripe: {
            apiKey: "sk_test_x",
            webhookSecret: null,
            mode: "test",
            apiBase: null,
            companyIdAt: { kind: "metadata", key: "company_id" },
            unmatchedCustomer: "hold",
            noSubscription: "hold",
            shadow: false,
            report: {
              windowMs: 3_600_000,
              everyMs: 60_000,
              latenessMs: 300_000,
              graceMs: 3_600_000,
              fractionDigits: 0,
            },
          },
        },
        server: DEFAULT_SERVER,
      },
    });
  });

  it("reports every mistake at once, in the order of the file", () => {
    const text = EXAMPLE.replace("aggregate: sum", "aggregate: summ")
      .replace("missingValue:", "missingvalue:")
      .replace("meter: chat_tokens", "meter: chat_token")
      .replace("orValue(", "orValue((");
    const reading = read(text);
    expect(reading.ok ? [] : reading.problems.map(({ line, column }) => `${line}:${column}`)).toEqual([
      "13:122",
      "22:16",
      "25:5",
      "33:16",
    ]);
  });
});

describe("defaults", () => {
  it("are in force where nothing is said", () => {
    expect(accepted(read("version: 1\nmeters: {}\n"))).toEqual({
      version: 1,
      file: "/app/meterbook.yaml",
      storage: { path: "/app/data/meter.db", keepEventsMs: null, durability: "process" },
      identity: { companyId: ["hook"], userId: ["hook"], unknown: "hold" },
      fields: {},
      meters: [],
      plans: [],
      billing: { stripe: null },
      server: DEFAULT_SERVER,
    });
  });

  it("say that an empty list of meters counts nothing", () => {
    expect(printed(read("version: 1\nmeters: {}\n"))).toBe(
      "meterbook.yaml:2:1  warning: meters: there are no meters: events are kept, nothing is counted",
    );
  });

  it.each([
    ["data/x.db", "/app/data/x.db"],
    ["../x.db", "/x.db"],
    ["/var/./lib//x.db", "/var/lib/x.db"],
    ["C:\\meter\\x.db", "C:\\meter\\x.db"],
  ])("resolve storage.path %s from the file's folder", (path, absolute) => {
    expect(accepted(read(`version: 1\nmeters: {}\nstorage: { path: '${path}' }\n`)).storage.path).toBe(absolute);
  });

  it("report only what adds up", () => {
    const meters = accepted(
      read("version: 1\nmeters:\n  a: { aggregate: count }\n  b: { aggregate: max, value: response.status }\n"),
    ).meters;
    expect(meters.map(({ report }) => report)).toEqual([true, false]);
  });

  it("follow the window: minute windows wait for nobody, and warn", () => {
    const reading = read(stripe("apiKey: ${STRIPE_API_KEY}\nreport: { window: minute }"));
    expect(accepted(reading).billing.stripe?.report).toMatchObject({ windowMs: 60_000, latenessMs: 0 });
    expect(printed(reading)).toBe(
      "meterbook.yaml:6:23  warning: billing.stripe.report.window: windows this short are for demos and tests; use hour to bill",
    );
  });
});

describe("match", () => {
  it("takes values, lists, operators, trees and where", () => {
    const reading = read(
      meter(`aggregate: count
match:
  request.method: [POST, PUT]
  response.status: { gte: 200, lt: 300 }
  request.path: { starts_with: /v1/, not_in: [/v1/health] }
  request.headers.X-Plan: { exists: true }
  action: http.request
  or:
    - { request.route: /chat, aborted: false }
    - { metadata.kind: { like: "ch*" } }
  not: { request.query.dry: "1" }
where: response.status < 400`),
    );
    expect(accepted(reading).meters[0]?.match).toEqual([
      { path: "request.method", op: "in", value: ["POST", "PUT"] },
      { path: "response.status", op: "gte", value: 200 },
      { path: "response.status", op: "lt", value: 300 },
      { path: "request.path", op: "starts_with", value: "/v1/" },
      { path: "request.path", op: "not_in", value: ["/v1/health"] },
      { path: "request.headers.X-Plan", op: "exists", value: true },
      { path: "type", op: "eq", value: "http.request" },
      {
        or: [
          {
            and: [
              { path: "request.route", op: "eq", value: "/chat" },
              { path: "aborted", op: "eq", value: false },
            ],
          },
          { path: "metadata.kind", op: "like", value: "ch*" },
        ],
      },
      { not: { path: "request.query.dry", op: "eq", value: "1" } },
      { cel: "response.status < 400" },
    ]);
  });

  it.each([
    ["match: { response.status: [] }", "4:31", "expected at least one entry"],
    ["match: { response.status: {} }", "4:31", "expected at least one operator such as { gte: 200 }"],
    ["match: { response.status: { in: 200 } }", "4:37", "expected a list, received 200"],
    ["match: { response.status: [[200]] }", "4:32", "expected text, a number, true or false, received a list"],
    ["match: { response.status: { exists: yes } }", "4:41", 'expected true or false, received "yes"'],
    ["match: { or: { user: a } }", "4:18", "expected a list, received a map"],
    [
      "match: { company.plan: pro }",
      "4:14",
      'company is a single value; nothing stands below it  Did you mean "company"?',
    ],
    ["match: { request.method: post }", "4:30", 'methods are upper case  Did you mean "POST"?'],
    ["match: { or: [{ respons.status: 1 }] }", "4:21", "no event has"],
    ["match: 5", "4:12", "expected a map, received 5"],
  ])("refuses %s", (line, place, message) => {
    const text = printed(read(meter(`${line}\naggregate: count`).replace("    match", "    match")));
    expect(text).toContain(`meterbook.yaml:${place} `);
    expect(text).toContain(message);
  });

  it("knows the computed fields in where", () => {
    expect(printed(read(meter("aggregate: count\nwhere: fields.cost > 1")))).toBe(
      'meterbook.yaml:5:19  meters.m.where: no field "cost"',
    );
  });
});

describe("variables", () => {
  it.each([
    ["/d/${A}", { A: "x" }, "/d/x"],
    ["/d/${A:-y}", {}, "/d/y"],
    ["/d/${A:-y}", { A: "" }, "/d/y"],
    ["/d/${A:?no}", { A: "x" }, "/d/x"],
    ["/d/$${A}", { A: "x" }, "/d/${A}"],
    ["/d/$A", { A: "x" }, "/d/$A"],
    ["/d/${A}${B}", { A: "${B}", B: "z" }, "/d/${B}z"],
  ])("%s with %j gives %s", (value, variables, expected) => {
    expect(pathOf(value, variables)).toBe(expected);
  });

  it("cannot change the structure", () => {
    expect(pathOf("/d/${A}", { A: "x\nversion: 2 # '" })).toBe("/d/x\nversion: 2 # '");
  });

  it("are not inherited from an object's prototype", () => {
    expect(pathOf("/d/${toString}", {})).toContain("the environment variable toString is not set");
  });

  it.each([{}, { STRIPE_API_KEY: "" }])("%j leaves the Stripe key open with a warning", (variables) => {
    const reading = read(EXAMPLE, { env: variables });
    expect(accepted(reading).billing.stripe?.apiKey).toBeNull();
    expect(printed(reading)).toBe(
      'meterbook.yaml:39:13  warning: billing.stripe.apiKey: "${STRIPE_API_KEY}" is empty, so there is no Stripe key: usage is kept and not reported',
    );
  });

  it("never show what they hold", () => {
    const secret = "hunter2-hunter2";
    const text = EXAMPLE.replace("keepEvents: 400d", "keepEvents: ${S}")
      .replace("currency: usd", "currency: ${S}")
      .replace("value: response.headers.X-Tokens-Used", "value: ${S}")
      .replace("meter: chat_tokens", "meter: ${S}")
      .replace("aggregate: sum", "aggregate: ${S}");
    const reading = read(text, { env: { S: secret } });
    expect(reading.ok ? 0 : reading.problems.length).toBe(5);
    expect(JSON.stringify(reading)).not.toContain("hunter2");
  });
});

describe("Stripe", () => {
  it("never prints a key that stands in the file, wherever it is", () => {
    for (const text of [
      stripe("apiKey: sk_test_51Habc"),
      meter("aggregate: count # rk_live_51Habc"),
      "a: [sk_live_51Habc",
      '{"sk_live_51Habc": 1}',
    ]) {
      const reading = read(text);
      expect(reading.ok).toBe(false);
      expect(JSON.stringify(reading)).not.toContain("51Habc");
      expect(printed(reading)).toContain("a Stripe key stands here in clear");
    }
  });

  it.each([
    ["apiKey: secret", "a key does not stand in this file; write ${STRIPE_API_KEY}"],
    ["apiKey: ${PUBLISHABLE}", "this is a publishable key (pk_)"],
    ["apiBase: ftp://x", "expected a base URL"],
    ["mode: live\napiBase: http://127.0.0.1:1", "a live key is sent over https only"],
    ["report: { grace: 5m }", "lateness must be shorter than grace"],
    ["report: { every: 0s }", "expected more than 0"],
    ["report: { fractionDigits: 13 }", "expected a whole number from 0 to 12, received 13"],
    ["report: { fractionDigits: 1.5 }", "expected a whole number from 0 to 12, received 1.5"],
    ["shadow: sometimes", "shadow: expected true or false"],
    ["report: { window: day }", 'expected one of "hour"|"minute", received "day"'],
  ])("refuses %s", (lines, message) => {
    const reading = read(stripe(lines), { env: { PUBLISHABLE: "pk_test_1" } });
    expect(reading.ok).toBe(false);
    expect(printed(reading)).toContain(message);
  });

  it("takes customer.id, and a test key in live mode with a warning", () => {
    const reading = read(stripe("apiKey: ${STRIPE_API_KEY}\nmode: live\nmap: { company_id: customer.id }"));
    expect(accepted(reading).billing.stripe?.companyIdAt).toEqual({ kind: "customerId" });
    expect(printed(reading)).toContain("this is a test key: no customer is billed");
  });

  it("says of a meter what its owner wants, and nothing where nothing is said", () => {
    const [said] = accepted(read(meter("aggregate: count\nlate: write_off\neventTimeWindow: hour"))).meters;
    expect(said).toMatchObject({ late: "write_off", eventTimeWindow: "hour" });
    const [unsaid] = accepted(read(meter("aggregate: count"))).meters;
    expect(Object.keys(unsaid ?? {})).toContain("key");
    for (const name of ["late", "eventTimeWindow"]) expect(Object.keys(unsaid ?? {})).not.toContain(name);
    expect(printed(read(meter("aggregate: count\nreport: false\nlate: carry")))).toContain(
      "this meter is not reported, so this has no effect",
    );
  });

  it("is in shadow only when that is said", () => {
    const reading = read(stripe("apiKey: ${STRIPE_API_KEY}\nshadow: true"));
    expect(accepted(reading).billing.stripe?.shadow).toBe(true);
  });

  it("refuses two meters under one of its names", () => {
    expect(
      printed(read("version: 1\nmeters:\n  a: { aggregate: count }\n  b: { aggregate: count, reportAs: a }\n")),
    ).toBe(
      'meterbook.yaml:4:36  meters.b.reportAs: the meter a is reported as "a" already; the biller would add them up',
    );
  });
});

describe("plans", () => {
  it.each([
    ['{ model: flat, flatAmount: "10" }', { meter: null, model: "flat", flatAmount: "10" }],
    [
      '{ meter: m, model: package, packageSize: "1000", unitAmount: "2.5" }',
      { packageSize: "1000", unitAmount: "2.5" },
    ],
    [
      '{ meter: m, model: graduated, tiers: [{ upTo: "10", unitAmount: "1" }, { flatAmount: "5" }] }',
      {
        tiers: [
          { upTo: "10", unitAmount: "1", flatAmount: null },
          { upTo: null, unitAmount: null, flatAmount: "5" },
        ],
      },
    ],
  ])("accept %s", (price, expected) => {
    expect(accepted(read(plan(price))).plans[0]).toMatchObject({
      key: "p",
      name: "p",
      currency: "eur",
      every: "month",
    });
    expect(accepted(read(plan(price))).plans[0]?.prices[0]).toMatchObject(expected);
  });

  it.each([
    [
      '{ meter: m, model: volume, tiers: [{ upTo: "10", unitAmount: "1" }, { upTo: "9", unitAmount: "1" }, { unitAmount: "1" }] }',
      "tiers must ascend",
    ],
    [
      '{ meter: m, model: volume, tiers: [{ unitAmount: "1" }, { unitAmount: "1" }] }',
      "only the last tier may lack upTo",
    ],
    ['{ meter: m, model: volume, tiers: [{ upTo: "1", unitAmount: "1" }] }', "the last tier has no upTo"],
    ["{ meter: m, model: volume, tiers: [{}] }", "a tier has a unitAmount, a flatAmount or both"],
    ['{ meter: m, model: perUnit, unitAmount: "-1" }', "an amount cannot be negative"],
    ['{ meter: m, model: perUnit, unitAmount: "0.0000000000001" }', "with at most 12 fraction digits"],
    ['{ meter: m, model: package, packageSize: "0", unitAmount: "1" }', "a package holds more than 0"],
    ['{ meter: m, unitAmount: "1" }', 'the key "model" is missing in plans.p.prices[0]; expected one of "perUnit"|'],
  ])("refuse %s", (price, message) => {
    const reading = read(plan(price));
    expect(reading.ok).toBe(false);
    expect(printed(reading)).toContain(message);
  });
});
