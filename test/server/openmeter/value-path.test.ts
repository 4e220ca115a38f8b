import { describe, expect, it } from "vitest";

import { compilePath } from "../../../src/core/field-path.ts";
import { fieldPathOf, jsonPathOf } from "../../../src/server/openmeter/value-path.ts";

const event = {
  data: { tokens: 7, "a b": { "it's": 1 }, list: [{ n: 1 }, { n: 2 }], deep: { n: 3 } },
  subject: "s",
};

function valueAt(jsonPath: string): unknown {
  const read = fieldPathOf(jsonPath);
  if (!("path" in read)) throw new Error(read.problem);
  return compilePath(read.path).read(event);
}

describe("a JSONPath of OpenMeter", () => {
  it("is read over the payload", () => {
    expect(valueAt("$.tokens")).toBe(7);
    expect(valueAt("$['tokens']")).toBe(7);
    expect(valueAt(`$["a b"]['it\\'s']`)).toBe(1);
    expect(valueAt("$.list[1].n")).toBe(2);
    expect(valueAt("$.subject")).toBeUndefined();
  });

  it("becomes a plain field path where one can say it", () => {
    expect(fieldPathOf("$.a.b['c'][0]")).toEqual({ path: "data.a.b['c'][0]" });
  });

  it("stays a JSONPath where only that can say it", () => {
    expect(fieldPathOf("$.list[*].n")).toEqual({ path: "$.data.list[*].n" });
    expect(valueAt("$.list[*].n")).toEqual([1, 2]);
    expect(valueAt("$.deep..n")).toBe(3);
    expect(valueAt("$.list[0:1].n")).toBe(1);
  });

  it.each(["tokens", "", "$", "$tokens", "$.", "$.a[?(@.b)]", "$.a[(@.length-1)]", "$.a^", "$.a[", "$.a..", "$$.a"])(
    "%j is refused with a sentence",
    (jsonPath) => {
      expect(fieldPathOf(jsonPath)).toEqual({ problem: expect.stringMatching(/\w+ \S+/) });
    },
  );

  it.each(["$.a.b['c'][0]", "$.list[*].n", "$..n", '$["data"]', "$.data", "$.data.data"])(
    "%j comes back as it was sent",
    (jsonPath) => {
      const read = fieldPathOf(jsonPath);
      expect("path" in read ? jsonPathOf(read.path) : read).toBe(jsonPath);
    },
  );

  it("a path that does not start at the payload is shown as it is", () => {
    expect(jsonPathOf("response.headers.X-Tokens-Used")).toBe("response.headers.X-Tokens-Used");
    expect(jsonPathOf("$.response.body")).toBe("$.response.body");
    expect(jsonPathOf("database.size")).toBe("database.size");
  });
});
