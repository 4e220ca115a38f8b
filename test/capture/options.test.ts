import { describe, expect, it } from "vitest";

import { createCapture } from "../../src/capture/capture.ts";
import { nearName } from "../../src/core/near-name.ts";
import { checkOptions, describeValue } from "../../src/capture/options.ts";
import { pathFilter } from "../../src/capture/path-filter.ts";
import { pathOf, routeOf, type RoutedRequest } from "../../src/capture/route.ts";
import { ArrayRecorder, untyped } from "./rig.ts";

describe("checkOptions", () => {
  const wrong: [object, RegExp][] = [
    [{ identifycompany: () => "x" }, /no option "identifycompany"\. Did you mean identifyCompany\?/],
    [{ zzz: 1 }, /no option "zzz"\. Known are config, db,/],
    [{ __proto__: null, constructor: 1 }, /no option "constructor"/],
    [{ identifyCompany: "x-org" }, /identifyCompany of meter\(\): expected a function; received "x-org"/],
    [{ durability: "disk" }, /expected "process" or "power" or "memory"; received "disk"/],
    [{ capture: true }, /expected "metered" or "headers" or "all"; received true/],
    [{ requestMaxBodySize: "100kb" }, /expected a whole number of bytes/],
    [{ responseMaxBodySize: -1 }, /received -1/],
    [{ stripHeaders: "x-a" }, /expected a list of header names; received "x-a"/],
    [{ stripHeaders: ["x a"] }, /expected a list of header names; received a list of 1/],
    [{ redact: { header: [] } }, /redact has no option "header"\. Did you mean headers\?/],
    [{ redact: [] }, /expected an object with headers and paths/],
    [{ exclude: ["health"] }, /expected a list of paths/],
    [{ logger: { info: () => undefined } }, /expected a logger/],
    [{ config: 1 }, /expected a path or a configuration object; received 1/],
    [{ enabled: "no" }, /expected true or false/],
    [{ onError: Promise.resolve() }, /expected a function; received a promise/],
    [{ requestId: "x request" }, /expected a header name/],
    [[], /takes an object of options; received a list of 0/],
  ];

  it.each(wrong)("refuses %j", (options, text) => {
    expect(() => checkOptions(options)).toThrow(text);
    expect(() => checkOptions(options)).toThrow(expect.objectContaining({ code: "METER_OPTION_INVALID" }));
  });

  it("takes what is right, and options that are undefined", () => {
    const options = {
      db: undefined,
      capture: "all",
      exclude: [/^\/a/, "/b", "**/c"],
      redact: { headers: ["x"], paths: ["a.b"] },
      requestMaxBodySize: 0,
    };
    expect(checkOptions(untyped(options))).toBe(options);
    expect(checkOptions()).toEqual({});
  });

  it("shows no more of a value than it must", () => {
    expect([Symbol("x"), () => 1, 1n, undefined, "x".repeat(80), { secret: 1 }].map(describeValue)).toEqual([
      "a symbol",
      "a function",
      "1",
      "undefined",
      `"${"x".repeat(60)}…"`,
      "an object",
    ]);
  });
});

describe("createCapture", () => {
  it("refuses a path that cannot be read", () => {
    const plan = {
      requestHeaders: [],
      responseHeaders: [],
      query: [],
      params: [],
      requestBody: { kind: "none" },
      responseBody: { kind: "none" },
      metadata: "whole",
      meteredHeaders: { request: [], response: [] },
      reads: [],
    } as const;
    const setup = {
      plan,
      recorder: new ArrayRecorder(),
      clock: { now: () => 0 },
      nextId: () => "1",
      sessionKey: new Uint8Array(32),
      notify: () => undefined,
    };
    expect(() => createCapture({ ...setup, options: {}, identity: { companyId: ["request..x"], userId: [] } })).toThrow(
      /cannot stand here/,
    );
    expect(() =>
      createCapture({ ...setup, options: { redact: { paths: ["a b"] } }, identity: { companyId: [], userId: [] } }),
    ).toThrow(/cannot stand here/);
  });
});

describe("pathFilter", () => {
  const cases: [string, readonly (string | RegExp)[], boolean][] = [
    ["/v1", ["/v1"], true],
    ["/v1/x", ["/v1"], true],
    ["/v1/x", ["/v1/"], true],
    ["/v10", ["/v1"], false],
    ["/v1/a/items", ["/v1/*/items"], true],
    ["/v1/a/b/items", ["/v1/*/items"], false],
    ["/v1/a/b/items", ["/v1/**/items"], true],
    ["/v1.0/x", ["/v1*0/*"], true],
    ["/v1x0", ["/v1.0*"], false],
    ["/a", [/^\/A$/i], true],
  ];

  it.each(cases)("%s by %s is %s", (path, patterns, expected) => {
    expect(pathFilter(patterns, [])(path)).toBe(expected);
    expect(pathFilter(undefined, patterns)(path)).toBe(!expected);
  });

  it("forgets where a global pattern stopped", () => {
    const filter = pathFilter([/x/g], []);
    expect([filter("/x"), filter("/x"), filter("/x")]).toEqual([true, true, true]);
  });
});

const request = (parts: object): RoutedRequest => untyped(parts);

describe("routes", () => {
  it("reads paths without query and fragment", () => {
    const targets = ["/a?b", "/a#b", "", "?x", "http://h", "https://h/a/b?c", "*", "/a%2Fb"];
    expect(targets.map((url) => pathOf(request({ url })))).toEqual(["/a", "/a", "/", "/", "/", "/a/b", "*", "/a%2Fb"]);
    expect(pathOf(request({ url: "/b", originalUrl: "/a/b?x" }))).toBe("/a/b");
  });

  const lost: [string, unknown, string, string | null][] = [
    ["under a mount", "/items/:id", "/v1/acme/items/7", "/v1/acme/items/:id"],
    ["under a mount, other case and slash", "/Items/:id", "/v1/items/7/", "/v1/Items/:id"],
    ["at the mount itself", "/", "/v1/acme", "/v1/acme"],
    ["on the app", "/items/:id", "/items/7", "/items/:id"],
    ["rewritten", "/new", "/old", "/new"],
    ["a pattern on the app", "/files/*rest", "/files/a/b", "/files/*rest"],
    ["a pattern under a mount", "/files/*rest", "/v1/files/a/b", null],
    ["several templates", ["/a", "/b"], "/b", "/b"],
    ["a regular expression", /^\/x/, "/x", "/^\\/x/"],
  ];

  it.each(lost)("finds the route of a failed request again: %s", (_, template, path, expected) => {
    expect(
      routeOf(request({ app: () => undefined, baseUrl: "", params: {}, route: { path: template } }), path, 500).route,
    ).toBe(expected);
  });
});

describe("nearName", () => {
  it("finds the tutorial's own misspelling, and nothing far away", () => {
    expect(nearName("x-token-used", ["content-type", "x-tokens-used", "x-powered-by"])).toBe("x-tokens-used");
    expect(nearName("x-tokens-used", ["etag", "date"])).toBeNull();
    expect(nearName("x-tokesn-used", ["x-tokens-used"])).toBe("x-tokens-used");
  });
});
