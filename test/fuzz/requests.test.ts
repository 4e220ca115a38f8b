import type http from "node:http";

import * as fc from "fast-check";
import { afterAll, beforeAll, expect, it } from "vitest";

import { keptRequestHeaders, requestHeader } from "../../src/capture/header-values.ts";
import { keptQuery } from "../../src/capture/query-values.ts";
import { pathOf, routeOf } from "../../src/capture/route.ts";
import { countOf, instantMs, portOf } from "../../src/cli/instants.ts";
import { meterOf, rawAnswer, rig, serve, untyped, type Running } from "../capture/rig.ts";
import { answers, fuzzed, NAMES, sentences } from "./hostile-input.ts";

const name = fc.constantFrom(...NAMES, "X-Y", "x-Y", "Set-Cookie", "");
const value = fc.oneof(fc.string({ unit: "binary", maxLength: 30 }), fc.constantFrom("", "1", "x".repeat(5_000)));
const rawHeaders = fc.array(fc.tuple(name, value), { maxLength: 30 }).map((pairs) => pairs.flat());

it("reads any list of header lines: each value once, in its order, and no name that was not sent", () => {
  fc.assert(
    fc.property(rawHeaders, (raw) => {
      answers(() => {
        const kept = keptRequestHeaders(raw, untyped({ isAll: true, named: [], redacted: new Set() }));
        const names = new Set(raw.filter((_, at) => at % 2 === 0).map((each) => each.toLowerCase()));
        expect(new Set(Object.keys(kept ?? {}))).toEqual(names);
        for (const each of names) {
          const sent = raw.filter((_, at) => at % 2 === 1 && raw[at - 1]?.toLowerCase() === each);
          expect([requestHeader(raw, each)].flat()).toEqual(sent);
        }
      });
    }),
    fuzzed(1_500),
  );
});

const target = sentences([
  "/",
  "//",
  "?",
  "#",
  "&",
  "=",
  "a",
  "%",
  "%zz",
  "%00",
  "..",
  "http://",
  "@",
  ":",
  "*",
  "[",
  ";",
]);

it("reads any request target: a path without query, and its parameters", () => {
  fc.assert(
    fc.property(target, (url) => {
      answers(() => {
        const request = untyped({ url, method: "GET", headers: {} });
        const path = pathOf(request);
        expect(path).not.toMatch(/[?#]/);
        routeOf(request, path, 200);
        keptQuery(url, "all");
        keptQuery(url, NAMES);
      });
    }),
    fuzzed(3_000),
  );
});

it("reads any argument of a command as an instant, a number or a port, or refuses it", () => {
  const argument = sentences([
    "2026",
    "-11",
    "-01",
    "T00:00",
    "Z",
    "+99:99",
    "24",
    "h",
    "d",
    "-",
    ".",
    "e9",
    "0x",
    " ",
  ]);
  fc.assert(
    fc.property(argument, (text) => {
      answers(() => expect(Number.isFinite(instantMs(text, "--from", 1_800_000_000_000))).toBe(true));
      answers(() => expect(countOf(text, "--limit")).toBeGreaterThan(0));
      answers(() => expect(portOf(text)).toBeLessThan(65_536));
    }),
    fuzzed(3_000),
  );
});

let running: Running;
const parts = rig({ capture: "all" }, { meters: [meterOf("request.headers.X-Y", { body: "request.body.a.b" })] });
const listener: http.RequestListener = (request, response) => {
  parts.middleware(request, response);
  request.resume().on("end", () => response.setHeader("x-answer", "1").end("fine"));
};
beforeAll(async () => {
  running = await serve(listener);
});
afterAll(() => running.close());

it("answers whatever is sent, and records one event for each answer of the app", async () => {
  const line = fc
    .tuple(name, sentences(["1", "a", "\u00e9", ",", "\t", '"'], 10))
    .map(([header, text]) => `${header}: ${text}`);
  const body = fc.oneof(fc.json(), fc.string({ unit: "binary" }), fc.constantFrom("{", '{"a":{"b":1e999}}'));
  await fc.assert(
    fc.asyncProperty(target, fc.array(line, { maxLength: 6 }), body, async (url, lines, text) => {
      const before = parts.recorder.lines.length;
      const bytes = Buffer.from(text);
      const head = [`POST /${url} HTTP/1.1`, "Host: x", "Connection: close", ...lines];
      const sent = [...head, `Content-Length: ${bytes.length}`, "", text].join("\r\n");
      const answer = await rawAnswer(running.port, sent);
      // What Node itself refuses never reaches the app.
      const outcome = answer.includes("x-answer: 1")
        ? "answered"
        : /^(HTTP\/1\.1 400 |$)/.test(answer)
          ? "refused"
          : answer;
      expect([outcome, parts.recorder.lines.length - before]).toEqual(
        outcome === "answered" ? ["answered", 1] : ["refused", 0],
      );
    }),
    fuzzed(300),
  );
  expect(parts.errors).toEqual([]);
}, 120_000);
