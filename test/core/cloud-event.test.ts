import * as fc from "fast-check";
import { describe, expect, it } from "vitest";

import {
  readCloudEvents,
  type CloudEventReading,
  type EventMistake,
  type SentEvent,
} from "../../src/core/cloud-event.ts";

const bounds = { eventsMax: 3, eventLengthMax: 1_000, depthMax: 4, identifierLengthMax: 20 };
const STRUCTURED = "application/cloudevents+json";
const BATCH = "application/cloudevents-batch+json";

function read(
  text: string,
  contentType: string | null = STRUCTURED,
  headers: Record<string, string> = {},
): CloudEventReading {
  return readCloudEvents({ contentType, headers, text }, bounds);
}

const right = { specversion: "1.0", id: "1", source: "app", type: "prompt", subject: "ann" };

function one(parts: Record<string, unknown>): CloudEventReading {
  return read(JSON.stringify({ ...right, ...parts }));
}

function eventsOf(reading: CloudEventReading): readonly SentEvent[] {
  if (reading.kind === "refused") throw new Error(reading.message);
  return reading.events.map((each) => {
    if (each.kind === "rejected") throw new Error(JSON.stringify(each.problems));
    return each.event;
  });
}

function problemsOf(reading: CloudEventReading): readonly EventMistake[] {
  if (reading.kind === "refused") throw new Error(reading.message);
  return reading.events.flatMap((each) => (each.kind === "rejected" ? each.problems : []));
}

const pointersOf = (reading: CloudEventReading): readonly string[] => problemsOf(reading).map(({ pointer }) => pointer);
const whyOf = (reading: CloudEventReading): string => (reading.kind === "refused" ? reading.why : "events");

describe("content modes", () => {
  const event: SentEvent = { id: "1", source: "app", type: "prompt", subject: "ann", time: null, data: { n: 1 } };
  const text = JSON.stringify({ ...right, data: { n: 1 } });

  it.each([
    ["structured", STRUCTURED, text],
    ["structured, with a charset", `${STRUCTURED}; charset="UTF-8"; x=y`, text],
    ["batch", BATCH, `[${text}]`],
    ["either, with one", "application/json", text],
    ["either, with a list", "Application/JSON;charset=utf-8", `[${text}]`],
  ])("%s", (_, contentType, body) => {
    expect(eventsOf(read(body, contentType))).toEqual([event]);
  });

  it("binary: attributes in header fields, percent-decoded, the body is the data", () => {
    const headers = {
      "ce-specversion": "1.0",
      "ce-id": '"a \\"b%22"',
      "ce-source": "/caf%C3%A9",
      "ce-type": "prompt",
      "ce-subject": "ann",
      "ce-traceid": "t",
      "ce-time": "2026-11-22T10:00:00Z",
      host: "x",
    };
    const binary = eventsOf(read('{"n":9007199254740993}', "application/json", headers));
    expect(binary).toEqual([
      {
        id: 'a "b"',
        source: "/café",
        type: "prompt",
        subject: "ann",
        time: 1_795_341_600_000,
        data: { n: "9007199254740993" },
        attributes: { traceid: "t" },
      },
    ]);
    expect(eventsOf(read("", null, headers))[0]).not.toHaveProperty("data");
    expect(eventsOf(read("{}", "application/vnd.x+json", headers))[0]?.attributes).toEqual({
      traceid: "t",
      datacontenttype: "application/vnd.x+json",
    });
  });

  it("binary: mistakes are named by header fields", () => {
    const headers = {
      "ce-id": "%ff",
      "ce-source": "app",
      "ce-type": "om.x",
      "ce-subject": "ann",
      "ce-data": "x",
      "ce-Bad": "x",
    };
    expect(pointersOf(read("[1]", "application/json", headers))).toEqual([
      "ce-id",
      "ce-data",
      "ce-Bad",
      "ce-specversion",
      "ce-type",
      "/data",
    ]);
    const fine = { "ce-specversion": "1.0", "ce-id": "1", "ce-source": "a", "ce-type": "t", "ce-subject": "s" };
    expect(pointersOf(read("x", "text/plain", fine))).toEqual(["content-type"]);
    expect(whyOf(read("{", "application/json", fine))).toBe("not_json");
  });

  it.each([
    [null],
    ["text/plain"],
    ["application/xml"],
    ["application/cloudevents+avro"],
    ["json"],
    [`${STRUCTURED}; charset=latin1`],
    [`${STRUCTURED}; charset=utf-8; charset=utf-16`],
    [`${STRUCTURED}; charset=utf-16; charset=utf-8`],
    [`${STRUCTURED} x`],
    ["application/json".padEnd(2_000, " ")],
  ])("refuses the content type %j", (contentType) => {
    expect(whyOf(read(text, contentType))).toBe("content_type");
  });

  it("refuses what is empty, no JSON or too many, and takes a list without events", () => {
    expect(["", " \n", "{", "[1,]", "NaN"].map((body) => whyOf(read(body)))).toEqual([
      "empty",
      "empty",
      "not_json",
      "not_json",
      "not_json",
    ]);
    expect(whyOf(read("[0,0,0,0]", BATCH))).toBe("too_many");
    expect(eventsOf(read("[]", BATCH))).toEqual([]);
  });

  it("rejects a list where one event is due, one where a list is due, and what is no object", () => {
    expect(pointersOf(read(`[${text}]`, STRUCTURED))).toEqual([""]);
    expect(pointersOf(read(text, BATCH))).toEqual([""]);
    expect(pointersOf(read("[1,null,[]]", BATCH))).toEqual(["", "", ""]);
    expect(pointersOf(read('"x"', "application/json"))).toEqual([""]);
  });
});

describe("one event", () => {
  it("keeps time to the millisecond, other attributes and data as they were sent", () => {
    const parts = {
      time: "2026-11-22T10:00:00.1239Z",
      datacontenttype: "application/json; charset=utf-8",
      dataschema: "urn:a",
      flag: true,
      count: -3,
      data: { a: [1, "x", null] },
    };
    expect(eventsOf(one(parts))).toEqual([
      {
        id: "1",
        source: "app",
        type: "prompt",
        subject: "ann",
        time: 1_795_341_600_123,
        data: { a: [1, "x", null] },
        attributes: { datacontenttype: "application/json; charset=utf-8", dataschema: "urn:a", flag: true, count: -3 },
      },
    ]);
  });

  it("takes an attribute that is null for one that is left out, and null for data that says nothing", () => {
    expect(eventsOf(one({ time: null, data: null, traceid: null, dataschema: null }))).toEqual([
      { id: "1", source: "app", type: "prompt", subject: "ann", time: null, data: null },
    ]);
    expect(pointersOf(one({ id: null }))).toEqual(["/id"]);
  });

  it.each<[string, Record<string, unknown>, string]>([
    ["no id", { id: undefined }, "/id"],
    ["a number as id", { id: 7 }, "/id"],
    ["an empty id", { id: "" }, "/id"],
    ["a long id", { id: "x".repeat(21) }, "/id"],
    ["a control character", { id: "a\u0000b" }, "/id"],
    ["a lone surrogate", { source: "\ud800" }, "/source"],
    ["no source", { source: undefined }, "/source"],
    ["no type", { type: undefined }, "/type"],
    ["a type of OpenMeter's own", { type: "om.x" }, "/type"],
    ["a type of OpenMeter's own", { type: "_.x" }, "/type"],
    ["no subject", { subject: undefined }, "/subject"],
    ["a list as subject", { subject: [[[[["deep"]]]]] }, "/subject"],
    ["no version", { specversion: undefined }, "/specversion"],
    ["another version", { specversion: "0.3" }, "/specversion"],
    ["a number as version", { specversion: 1.0 }, "/specversion"],
    ["a bad time", { time: "yesterday" }, "/time"],
    ["a number as time", { time: 1_795_341_600 }, "/time"],
    ["a text as data", { data: "5" }, "/data"],
    ["a number as data", { data: 5 }, "/data"],
    ["a list as data", { data: [] }, "/data"],
    ["binary data", { data_base64: "AA==" }, "/data_base64"],
    ["data that is no JSON", { datacontenttype: "text/xml" }, "/datacontenttype"],
    ["a number as content type", { datacontenttype: 1 }, "/datacontenttype"],
    ["an empty schema", { dataschema: "" }, "/dataschema"],
    ["an upper-case extension", { traceId: "x" }, "/traceId"],
    ["an extension with signs", { "a/b~c": "x" }, "/a~1b~0c"],
    ["a long extension name", { ["x".repeat(21)]: "x" }, `/${"x".repeat(21)}`],
    ["an extension with parts", { trace: {} }, "/trace"],
    ["an extension that is a fraction", { trace: 1.5 }, "/trace"],
    ["data that is too deep", { data: { a: { b: { c: { d: 1, e: {} } } } } }, "/data"],
    ["an event that is too large", { data: { a: "x".repeat(1_001) } }, ""],
  ])("is rejected for %s", (_, parts, pointer) => {
    expect(pointersOf(one(parts))).toEqual([pointer]);
  });

  it("tells all its mistakes, and its identity where it has one", () => {
    const reading = one({ type: 1, time: "x", specversion: "2" });
    expect(reading).toMatchObject({ events: [{ kind: "rejected", source: "app", id: "1" }] });
    expect(pointersOf(reading)).toEqual(["/time", "/specversion", "/type"]);
    expect(read("{}")).toMatchObject({ events: [{ kind: "rejected", source: null, id: null }] });
  });

  it("may be as deep and as large as is allowed", () => {
    expect(eventsOf(one({ data: { a: { b: { c: { d: 1 } } } } }))).toHaveLength(1);
    expect(eventsOf(one({ data: { a: "x".repeat(900) } }))).toHaveLength(1);
  });

  it("keeps numbers that a double cannot hold as their text; such a number is still no id", () => {
    const text = `{"specversion":"1.0","id":9007199254740993,"source":"app","type":"t","subject":"s","data":{"n":9007199254740993,"d":0.1234567890123456789,"e":1e400}}`;
    expect(problemsOf(read(text))).toEqual([{ pointer: "/id", message: "id must be a text, and is 9007199254740992" }]);
    expect(eventsOf(read(text.replace("9007199254740993,", '"9007199254740993",')))[0]).toMatchObject({
      id: "9007199254740993",
      data: { n: "9007199254740993", d: "0.1234567890123456789", e: "1e400" },
    });
  });

  it("has the last of members with one name", () => {
    const text = `{"specversion":"1.0","id":"1","id":"2","source":"app","type":"t","subject":"s","data":{"n":1,"n":9007199254740993}}`;
    expect(eventsOf(read(text))[0]).toMatchObject({ id: "2", data: { n: "9007199254740993" } });
  });

  it("keeps names of the language's own as content, and reads none of its members through them", () => {
    const before = Reflect.ownKeys(Object.prototype);
    const text = `{"__proto__":{"id":"evil","subject":"evil"},"specversion":"1.0","source":"app","type":"t","data":{"__proto__":{"n":1},"constructor":2}}`;
    expect(pointersOf(read(text))).toEqual(["/__proto__", "/id", "/subject"]);
    const kept = eventsOf(
      read(text.replace('"__proto__":{"id":"evil","subject":"evil"}', '"id":"1","subject":"s","constructor":"c"')),
    )[0];
    expect(Object.keys(Object(kept?.data))).toEqual(["__proto__", "constructor"]);
    expect(kept?.attributes).toEqual({ constructor: "c" });
    expect(Reflect.ownKeys(Object.prototype)).toEqual(before);
  });
});

describe("whatever is sent", () => {
  const members = fc.oneof(
    fc.constantFrom(...Object.keys(right), "time", "data", "data_base64", "datacontenttype", "__proto__"),
    fc.string(),
  );
  const almost = fc.dictionary(
    members,
    fc.oneof(fc.jsonValue(), fc.constantFrom<unknown>("1.0", "2026-11-22T10:00:00Z", { n: 1 })),
  );
  const bodies = fc.oneof(
    fc.string({ unit: "binary" }),
    fc.json(),
    almost.map((event) => JSON.stringify({ ...right, ...event })),
    fc.array(almost).map((events) => JSON.stringify(events)),
  );
  const types = fc.oneof(fc.constantFrom(STRUCTURED, BATCH, "application/json", null), fc.string());
  const headers = fc.dictionary(
    fc.oneof(fc.constantFrom("ce-id", "ce-source", "ce-time", "ce-data"), fc.string()),
    fc.string(),
  );

  it("is answered with events or a reason, never with an exception", () => {
    const property = fc.property(bodies, types, headers, (text, contentType, fields) => {
      const reading = readCloudEvents({ contentType, headers: fields, text }, bounds);
      if (reading.kind === "refused") return reading.message !== "";
      return reading.events.every((each) => each.kind === "sent" || each.problems.length > 0);
    });
    expect(fc.check(property, { numRuns: 2_000 })).toMatchObject({ failed: false });
  });

  it("is answered also when it is nested deeper than a stack", () => {
    const deep = `${"[".repeat(200_000)}${"]".repeat(200_000)}`;
    expect(pointersOf(read(`${JSON.stringify(right).slice(0, -1)},"data":{"a":${deep}}}`))).toEqual(["/data"]);
    expect(pointersOf(read(`${JSON.stringify(right).slice(0, -1)},"trace":${deep}}`))).toEqual(["/trace"]);
    expect(pointersOf(read(deep, "application/json"))).toEqual([""]);
    expect(pointersOf(read(`${JSON.stringify(right).slice(0, -1)},"time":{"a":${deep}}}`))).toEqual(["/time"]);
  });
});
