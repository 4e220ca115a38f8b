import process from "node:process";

import * as fc from "fast-check";
import { describe, expect, it } from "vitest";

import { formatProblems, readConfig, readConfigObject } from "../../src/config/index.ts";
import { EXAMPLE } from "./example.ts";

/** CPU time that one reading may take; wall time would measure the other processes of a busy machine. */
const CPU_MS_MAX = 100;

function read(text: string, format: "yaml" | "json"): void {
  const reading = readConfig({
    text,
    format,
    file: "m",
    env: { A: text, STRIPE_API_KEY: "sk_test_x" },
    directory: "/app",
  });
  const problems = reading.ok ? reading.warnings : reading.problems;
  for (const { line, column } of problems) {
    expect(line).toBeGreaterThan(0);
    expect(column).toBeGreaterThan(0);
  }
  expect(formatProblems(problems).split("\n")).toHaveLength(Math.max(1, problems.length));
}

/** The least of three readings: a pause of the garbage collector is no slow parser. */
function cpuMs(run: () => void): number {
  let least = Infinity;
  for (let attempt = 0; attempt < 3 && least > CPU_MS_MAX; attempt++) {
    const before = process.cpuUsage();
    run();
    const { user, system } = process.cpuUsage(before);
    least = Math.min(least, (user + system) / 1000);
  }
  return least;
}

const yamlish = fc
  .array(
    fc.constantFrom(
      "version: 1\n",
      "meters:\n",
      "  a:\n",
      "    aggregate: ",
      "count\n",
      "- ",
      "? ",
      ": ",
      "&a ",
      "*a",
      "<<: ",
      "[",
      "]",
      "{",
      "}",
      ",",
      '"',
      "'",
      "|\n",
      ">-\n",
      "#",
      "!!str ",
      "%YAML 1.1\n",
      "---\n",
      "\t",
      " ",
      "\n",
      "${",
      "}",
      "${A:-x}",
      "$.",
      "..",
      "[?(",
      "x",
      "1",
      "~",
      "__proto__",
      "\u0000",
      "\uFEFF",
      "é",
    ),
    { maxLength: 60 },
  )
  .map((parts) => parts.join(""));
const mutated = fc
  .tuple(fc.nat(EXAMPLE.length), fc.nat(20), yamlish)
  .map(([at, length, insert]) => EXAMPLE.slice(0, at) + insert + EXAMPLE.slice(at + length));
const bytes = fc.uint8Array({ maxLength: 400 }).map((array) => new TextDecoder().decode(array));
const text = fc.oneof(fc.string({ maxLength: 300, unit: "binary" }), bytes, yamlish, mutated);

describe("any input", () => {
  it.each(["yaml", "json"] as const)("is answered by settings or problems, as %s", (format) => {
    fc.assert(
      fc.property(text, (input) => {
        expect(cpuMs(() => read(input, format))).toBeLessThan(CPU_MS_MAX);
      }),
      { numRuns: 600, seed: 7 },
    );
  });

  it("is answered when it is any JSON of ours", () => {
    fc.assert(
      fc.property(fc.json(), (input) => {
        const whole = `{"version":1,"meters":${input},"plans":${input},"fields":${input},"billing":{"stripe":${input}}}`;
        expect(() => read(whole, "json")).not.toThrow();
      }),
      { numRuns: 300, seed: 7 },
    );
  });

  it("is answered when it is any value at all", () => {
    fc.assert(
      fc.property(
        fc.anything({ withBigInt: true, withDate: true, withMap: true, withNullPrototype: true, withTypedArray: true }),
        (value) => {
          const reading = readConfigObject(
            { version: 1, meters: { m: value }, identity: value, storage: value },
            { file: null, env: {}, directory: "/" },
          );
          expect(typeof reading.ok).toBe("boolean");
          expect(readConfigObject(value, { file: null, env: {}, directory: "/" }).ok).toBe(false);
        },
      ),
      { numRuns: 500, seed: 7 },
    );
  });
});
