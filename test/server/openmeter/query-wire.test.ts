import { describe, expect, it } from "vitest";

import { isMeterbookError } from "../../../src/core/errors.ts";
import { fixed, queryCsv } from "../../../src/server/openmeter/query-csv.ts";
import { queryText } from "../../../src/server/openmeter/query-rows.ts";
import { queryBody, queryParameters, questionOf } from "../../../src/server/openmeter/query-wire.ts";
import { v3Answer, v3Csv, v3Query, v3Question } from "../../../src/server/openmeter/v3-query-wire.ts";
import { customer, meterAnswer, meterRow, T0 } from "./samples.ts";

const asked = (query: object) => questionOf("m", queryParameters.parse(query));
const posted = (body: object) => questionOf("m", queryBody.parse(body));
const dimensions = (filter: object) => ({ filters: { dimensions: filter } });
const v3 = (body: object) => v3Question("m", v3Query.parse(body));

function pointerOf(run: () => unknown): string | undefined {
  try {
    run();
    return undefined;
  } catch (error) {
    return isMeterbookError(error) ? error.mistakes[0]?.pointer : "zod";
  }
}

describe("a v1 query", () => {
  it("with nothing asks for one row over all, in UTC, without filling", () => {
    expect(asked({})).toEqual({ meter: "m", window: null, zone: "UTC", groupBy: [], fill: false });
  });

  it("takes repeated parameters and nested ones, as the client sends them", () => {
    const query = {
      from: "2025-01-01T00:00:00.000Z",
      to: "2025-01-02T00:00:00+01:00",
      windowSize: "DAY",
      windowTimeZone: "Europe/Budapest",
      subject: ["a", "b"],
      filterCustomerId: "c1",
      groupBy: ["model", "customer_id", "subject"],
      filterGroupBy: { model: "gpt", vendor: ["x", "y"] },
      clientId: "p1",
    };
    expect(asked(query)).toEqual({
      meter: "m",
      from: T0,
      to: T0 + 23 * 3_600_000,
      window: { unit: "day", count: 1 },
      zone: "Europe/Budapest",
      subjects: ["a", "b"],
      customers: ["c1"],
      groupBy: ["model", "customer", "subject"],
      filters: { model: { eq: "gpt" }, vendor: { in: ["x", "y"] } },
      fill: false,
      progressId: "p1",
    });
  });

  it.each([
    ["MINUTE", "minute"],
    ["HOUR", "hour"],
    ["DAY", "day"],
    ["WEEK", "week"],
    ["MONTH", "month"],
    ["QUARTER", "quarter"],
    ["YEAR", "year"],
  ])("cuts time by %s", (windowSize, unit) => {
    expect(asked({ windowSize }).window).toEqual({ unit, count: 1 });
  });

  it("means the same over POST, where lists are lists", () => {
    const advanced = { model: { $in: ["a"], $ne: null, $or: [{ $like: "g%" }, { $and: [{ $gte: "1" }] }] } };
    const wanted = { model: { in: ["a"], or: [{ like: "g%" }, { and: [{ gte: "1" }] }] } };
    expect(posted({ advancedMeterGroupByFilters: advanced }).filters).toEqual(wanted);
    expect(asked({ advancedMeterGroupByFilters: JSON.stringify(advanced) }).filters).toEqual(wanted);
    expect(posted({ filterGroupBy: { model: ["a", "b"] }, subject: ["s"] })).toMatchObject({
      filters: { model: { in: ["a", "b"] } },
      subjects: ["s"],
    });
  });

  it.each([
    [{ from: "2025-01-01T00:00:00Z", to: "2025-01-01T00:00:00Z" }, "/to"],
    [{ from: "2025-01-02T00:00:00Z", to: "2025-01-01T00:00:00Z" }, "/to"],
    [{ filterGroupBy: { a: "b" }, advancedMeterGroupByFilters: "{}" }, "/advancedMeterGroupByFilters"],
    [{ advancedMeterGroupByFilters: "{" }, "zod"],
    [{ advancedMeterGroupByFilters: '{"a":{"$regex":"x"}}' }, "zod"],
    [{ from: "2025-01-01" }, "zod"],
    [{ windowSize: "SECOND" }, "zod"],
    [{ filterCustomerId: Array.from({ length: 101 }, (_, index) => String(index)) }, "zod"],
  ])("refuses %j", (query, pointer) => {
    expect(pointerOf(() => asked(query))).toBe(pointer);
  });
});

describe("a v1 answer", () => {
  it("bears its bounds only where the query stated them", () => {
    expect(queryText({}, meterAnswer())).toBe('{"data":[]}');
    expect(JSON.parse(queryText({ from: T0, windowSize: "DAY" }, meterAnswer()))).toEqual({
      from: "2025-01-01T00:00:00.000Z",
      windowSize: "DAY",
      data: [],
    });
  });

  it.each(["0.3", "9007199254740993", "-1.5", "0", "0.123456789012", "100000000000000000000000000"])(
    "writes %s as a JSON number, digit for digit",
    (value) => {
      const text = queryText({}, meterAnswer(meterRow({ value })));
      expect(text).toContain(`{"value":${value},"windowStart"`);
      expect(typeof JSON.parse(text).data[0].value).toBe("number");
    },
  );

  it("has the subject and customer beside the labels, and null for a label that is not there", () => {
    const row = meterRow({ subject: 's"1', customer: "c", group: { model: "gpt", other: "x" } });
    const { data } = JSON.parse(
      queryText({ groupBy: ["subject", "customer_id", "model", "toString"] }, meterAnswer(row)),
    );
    expect(data).toEqual([
      {
        value: 1,
        windowStart: "2025-01-01T00:00:00.000Z",
        windowEnd: "2025-01-01T01:00:00.000Z",
        subject: 's"1',
        customerId: "c",
        groupBy: { model: "gpt", toString: null },
      },
    ]);
  });

  it("has no row where there is no figure", () => {
    expect(queryText({}, meterAnswer(meterRow({ value: null })))).toBe('{"data":[]}');
  });
});

describe("a v1 answer as CSV", () => {
  it("has the subject with its name, the labels and at least six decimals", () => {
    const rows = [
      meterRow({ subject: "s1", group: { model: 'a,"b"' }, value: "3" }),
      meterRow({ subject: "s2", group: {}, value: "0.1234567" }),
    ];
    const text = queryCsv(["model"], meterAnswer(...rows), { subjects: new Map([["s1", "One"]]) });
    expect(text.split("\r\n")).toEqual([
      "window_start,window_end,subject,subject_display_name,model,value",
      '2025-01-01T00:00:00.000Z,2025-01-01T01:00:00.000Z,s1,One,"a,""b""",3.000000',
      "2025-01-01T00:00:00.000Z,2025-01-01T01:00:00.000Z,s2,,,0.1234567",
      "",
    ]);
  });

  it("runs nothing in a spreadsheet, and negative figures stay figures", () => {
    const rows = [meterRow({ subject: "=1+1", group: { model: "@x\n" }, value: "-2" })];
    const text = queryCsv(["model"], meterAnswer(...rows), { subjects: new Map([["=1+1", "+2"]]) });
    expect(text.split("\r\n")[1]).toMatch(/,'=1\+1,'\+2,"'@x\n",-2\.000000$/);
    expect(fixed("-2")).toBe("-2.000000");
  });
});

describe("a v3 query", () => {
  it("has granularities, dimensions and their filters", () => {
    const body = {
      from: "2025-01-01T00:00:00Z",
      to: null,
      granularity: "PT1H",
      time_zone: "Asia/Kathmandu",
      group_by_dimensions: ["model", "customer_id"],
      filters: {
        dimensions: {
          customer_id: { in: ["c1", "c2"] },
          subject: { eq: "s" },
          model: { contains: "gpt", or: [{ neq: "x" }] },
          region: { exists: true },
        },
      },
    };
    expect(v3(body)).toEqual({
      meter: "m",
      from: T0,
      window: { unit: "hour", count: 1 },
      zone: "Asia/Kathmandu",
      groupBy: ["model", "customer"],
      customers: ["c1", "c2"],
      filters: {
        subject: { eq: "s" },
        model: { like: "%gpt%", or: [{ ne: "x" }] },
        region: { and: [{ ne: "" }] },
      },
      fill: false,
    });
    expect(v3({}).window).toBeNull();
  });

  it("refuses customers that are not named, and patterns where a text is wanted", () => {
    expect(pointerOf(() => v3(dimensions({ customer_id: { neq: "c" } })))).toBe("/filters/dimensions/customer_id");
    expect(pointerOf(() => v3(dimensions({ model: { contains: "100%" } })))).toBe("/filters/dimensions");
    expect(pointerOf(() => v3(dimensions({ model: { $eq: "x" } })))).toBe("zod");
    expect(pointerOf(() => v3({ granularity: "DAY" }))).toBe("zod");
  });

  it("is answered with decimal texts, subject and customer among the dimensions", () => {
    const row = meterRow({ value: "9007199254740993", subject: "s", customer: "c", group: { model: "gpt" } });
    expect(v3Answer(v3Query.parse({ group_by_dimensions: ["model", "region"] }), meterAnswer(row))).toEqual({
      data: [
        {
          value: "9007199254740993",
          from: "2025-01-01T00:00:00.000Z",
          to: "2025-01-01T01:00:00.000Z",
          dimensions: { subject: "s", customer_id: "c", model: "gpt", region: "" },
        },
      ],
    });
  });

  it("is answered as CSV with the customer's key and name", () => {
    const row = meterRow({ customer: "01CUSTOMER", group: { model: "gpt" }, value: "0.3" });
    const query = v3Query.parse({ group_by_dimensions: ["customer_id", "model"] });
    expect(
      v3Csv(query, meterAnswer(row), new Map([["01CUSTOMER", customer()]]))
        .split("\r\n")
        .slice(0, 2),
    ).toEqual([
      "from,to,customer_id,customer_key,customer_name,model,value",
      "2025-01-01T00:00:00.000Z,2025-01-01T01:00:00.000Z,01CUSTOMER,acme,Acme,gpt,0.3",
    ]);
  });
});
