import * as fc from "fast-check";
import { afterEach, describe, expect, test } from "vitest";
import { compilePath, PathError, pathText } from "../../src/core/field-path.ts";

function read(path: string, root: object): unknown {
  return compilePath(path).read(root);
}

function errorOf(path: string): PathError {
  try {
    compilePath(path);
  } catch (error) {
    if (error instanceof PathError) return error;
    throw error;
  }
  throw new Error(`${path} was accepted`);
}

describe("names and indexes", () => {
  const root = { a: { b: { "c d": [{ n: 5 }, 7], c: [1, 2] } }, top: null, text: "abc" };

  test.each([
    ["a.b.c[1]", 2],
    ['a.b["c d"][0].n', 5],
    ["a.b['c d'][1]", 7],
    ['a["b"].c[0]', 1],
    ["a.b.c.0", 1],
    ["a.b.c[9]", undefined],
    ["a.nothing.further", undefined],
    ["top", null],
    ["top.x.y", undefined],
    ["text.length", undefined],
    ["text[0]", undefined],
    ["a.b.c.length", undefined],
  ])("%s", (path, expected) => {
    expect(read(path, root)).toBe(expected);
  });

  test("quoted names may hold anything, with escapes", () => {
    expect(read(String.raw`a["x\"]\\y"]`, { a: { 'x"]\\y': 1 } })).toBe(1);
  });

  test("five names and more", () => {
    expect(read("a.b.c.d.e.f", { a: { b: { c: { d: { e: { f: 6 } } } } } })).toBe(6);
    expect(read("a.b.c.d.e", { a: { b: { c: { d: null } } } })).toBeUndefined();
  });

  test("reads what its own text names, for any names", () => {
    const names = fc.array(fc.string({ unit: "binary", minLength: 1, maxLength: 8 }), { minLength: 1, maxLength: 6 });
    fc.assert(
      fc.property(names, (segments) => {
        const path = compilePath(pathText(segments));
        expect(path.segments?.map((name) => name.toLowerCase())).toEqual(segments.map((name) => name.toLowerCase()));
        let value: unknown = "found";
        for (const name of path.segments?.toReversed() ?? []) value = Object.fromEntries([[name, value]]);
        expect(path.read(Object(value))).toBe("found");
      }),
    );
  });
});

describe("headers", () => {
  const root = { request: { headers: { "x-a": "1" } }, response: { headers: { "x-tokens-used": "120" } } };

  test.each(["response.headers.X-Tokens-Used", 'response.headers["x-TOKENS-used"]', "response.headers.x-tokens-used"])(
    "%s ignores case",
    (path) => {
      expect(read(path, root)).toBe("120");
    },
  );

  test("only directly under request.headers and response.headers", () => {
    expect(read("request.headers.X-A", root)).toBe("1");
    expect(compilePath("metadata.headers.X-A").segments).toEqual(["metadata", "headers", "X-A"]);
  });
});

describe("bad syntax", () => {
  test.each([
    ["", 0],
    [".a", 0],
    ["a.", 2],
    ["a..b", 2],
    ["a b", 1],
    ["a[b]", 2],
    ["a[-1]", 2],
    ["a[01]", 2],
    ['a["b"', 5],
    ['a["b', 2],
    ["a]", 1],
    ["a(b)", 1],
    ["@x", 0],
  ])("%j at %i", (path, offset) => {
    const error = errorOf(path);
    expect(error.offset).toBe(offset);
    expect(error.code).toBe("METER_CONFIG_INVALID");
    expect(error.message).not.toBe("");
  });
});

describe("own properties only", () => {
  afterEach(() => {
    Reflect.deleteProperty(Object.prototype, "poison");
  });

  test.each([
    "__proto__",
    "constructor",
    "constructor.constructor",
    "a.__proto__.polluted",
    "a.constructor.prototype",
    "a.toString",
    "list.constructor",
    "list.map",
    "a.hasOwnProperty.call",
  ])("%s is absent", (path) => {
    expect(read(path, { a: {}, list: [] })).toBeUndefined();
  });

  test("a poisoned Object.prototype is not seen, and its getter not called", () => {
    let calls = 0;
    Reflect.defineProperty(Object.prototype, "poison", {
      configurable: true,
      get() {
        calls += 1;
        return "bad";
      },
    });
    expect(read("poison", { a: {} })).toBeUndefined();
    expect(read("a.poison", { a: {} })).toBeUndefined();
    expect(read("$.a.poison", { a: {} })).toBeUndefined();
    expect(read("$..poison", { a: {} })).toBeUndefined();
    expect(calls).toBe(0);
  });

  test("an own property called __proto__ is data like any other", () => {
    const root: object = JSON.parse('{"a": {"__proto__": {"n": 1}}}');
    expect(read("a.__proto__.n", root)).toBe(1);
    expect(read("a.n", root)).toBeUndefined();
  });

  test("never throws, whatever stands there", () => {
    const paths = ["a", "a.b", "a.b.c", "a[0].b", "a.b.c.d.e", "a.length"].map(compilePath);
    fc.assert(
      fc.property(fc.dictionary(fc.constantFrom("a", "b", "__proto__"), fc.anything()), (root) => {
        for (const path of paths) expect(() => path.read(root)).not.toThrow();
      }),
    );
  });
});

describe("JSONPath", () => {
  const exchange = {
    request: { headers: { "x-a": "1" }, body: { items: [{ n: 1 }, { n: 2 }], usage: { total: 9 } } },
    text: "abc",
  };

  test.each<[string, unknown]>([
    ["$.request.body.usage.total", 9],
    ["$['request']['body'].usage.total", 9],
    ["$.request.body.items[*].n", [1, 2]],
    ["$.request.body.items[0].n", 1],
    ["$.request.body.items[0:1].n", 1],
    ["$..total", 9],
    ["$..n", [1, 2]],
    ["$.request.headers.X-A", "1"],
    ["$['request'].headers['X-A']", "1"],
    ["$.nothing", undefined],
    ["$.request.body.items[5].n", undefined],
    ["$.constructor", undefined],
    ["$.__proto__", undefined],
    ["$..constructor", undefined],
    ["$.text.constructor", undefined],
  ])("%s", (path, expected) => {
    const compiled = compilePath(path);
    expect(compiled.segments).toBeNull();
    expect(compiled.read(exchange)).toEqual(expected);
    expect(compiled.read(exchange)).toEqual(expected);
  });

  test.each([
    "$..[?(@.n > 1)]",
    "$.a[?(@.constructor.constructor('return process')())]",
    "$[(@.length-1)]",
    "$.a['(x)']",
    "$.a.@number()",
    "$.a['@type']",
    "$.a^",
    "$.a~",
    "$.a[?@.b]",
    "$.a`b",
    "$.a#0",
    "$.a;b",
    "$.a[0:5:-1]",
    "$.a[::-1]",
    "$.a[0,1:5:-1]",
    "$a",
    "$.a.",
    "$...a",
    "$.a[",
    "$.a]",
    "$.a[]",
    "$.a[[0]]",
  ])("%s is refused", (path) => {
    expect(errorOf(path).offset).toBeGreaterThanOrEqual(0);
  });

  test("what it can touch is known", () => {
    expect(compilePath("$.request.body.items[*].n").scope).toEqual(["request", "body", "items"]);
    expect(compilePath("$..n").scope).toEqual([]);
    expect(compilePath("$.request.body.a,b").scope).toEqual(["request", "body"]);
  });

  test("agrees with a compiled path on plain names", () => {
    const name = fc.constantFrom("a", "b", "c");
    fc.assert(
      fc.property(
        fc.array(name, { minLength: 1, maxLength: 4 }),
        fc.object({ key: name, maxDepth: 4, values: [fc.integer(), fc.string(), fc.boolean()] }),
        (segments, root) => {
          const plain = compilePath(segments.join(".")).read(root);
          expect(compilePath(`$.${segments.join(".")}`).read(root)).toEqual(plain);
        },
      ),
    );
  });
});
