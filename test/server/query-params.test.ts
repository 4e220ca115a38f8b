import { describe, expect, it } from "vitest";

import { limits } from "../../src/engine/limits.ts";
import { readQuery } from "../../src/server/query-params.ts";

const read = (text: string): unknown => {
  const reading = readQuery(text);
  return reading.ok ? reading.values : reading.mistakes.map(({ pointer }) => pointer);
};

describe("the query", () => {
  it.each([
    ["", {}],
    ["a=1", { a: "1" }],
    ["a", { a: "" }],
    ["a=1&a=2&a=3", { a: ["1", "2", "3"] }],
    ["a[]=1", { a: ["1"] }],
    ["a[]=1&a[]=2&a=3", { a: ["1", "2", "3"] }],
    ["f[model]=x&f[kind]=y", { f: { model: "x", kind: "y" } }],
    ["f[model][like]=x%25&f[model][ne]=xy", { f: { model: { like: "x%", ne: "xy" } } }],
    ["f[a][in][]=1&f[a][in][]=2", { f: { a: { in: ["1", "2"] } } }],
    ["f%5Bmodel%5D=a+b%2Bc", { f: { model: "a b+c" } }],
    ["q=a=b&&", { q: "a=b" }],
    ["hasOwnProperty=1&toString=2", { hasOwnProperty: "1", toString: "2" }],
  ])("%j is read", (text, values) => {
    expect(read(text)).toEqual(values);
  });

  it.each([
    ["a=1&a[b]=2", ["/a/b"]],
    ["a[b]=1&a=2", ["/a"]],
    ["a[b=1", ["/a[b"]],
    ["a]b=1", ["/a]b"]],
    ["[a]=1", ["/[a]"]],
    ["a[][b]=1", ["/a/b"]],
    ["a[b][c][d][e]=1", ["/a/b/c/d/e"]],
    ["__proto__[x]=1", ["/__proto__/x"]],
    ["a[__proto__]=1", ["/a/__proto__"]],
    ["a[constructor][prototype]=1", ["/a/constructor/prototype"]],
    ["=x", ["/"]],
    ["a=%ff", [""]],
    ["a=%", [""]],
  ])("%j is a mistake at its name", (text, pointers) => {
    expect(read(text)).toEqual(pointers);
  });

  it("has bounds of number and length", () => {
    expect(read(Array.from({ length: limits.queryParametersMax }, () => "a=1").join("&"))).toMatchObject({});
    expect(read(Array.from({ length: limits.queryParametersMax + 1 }, () => "a").join("&"))).toEqual([""]);
    expect(read(`a=${"x".repeat(limits.queryBytesMax)}`)).toEqual([""]);
  });

  it("touches no prototype", () => {
    readQuery("__proto__[polluted]=1&constructor[prototype][polluted]=1");
    expect(Reflect.get({}, "polluted")).toBeUndefined();
    const reading = readQuery("f[a]=1");
    expect(reading.ok && Object.getPrototypeOf(reading.values["f"])).toBeNull();
  });
});
