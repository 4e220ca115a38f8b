import { existsSync, readFileSync } from "node:fs";
import { resolve } from "node:path";

import { describe, expect, it } from "vitest";

const root = resolve(import.meta.dirname, "../..");
const rows = readFileSync(resolve(root, "src/server/THREATS.md"), "utf8")
  .split("\n")
  .filter((line) => line.startsWith("| T"))
  .map((line) => line.split("|").map((cell) => cell.trim()));

describe("the table of threats", () => {
  it("has every threat that concerns the service", () => {
    const numbers = rows.map(([, threat = ""]) => Number(/^T(\d+) /.exec(threat)?.[1]));
    expect(numbers).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 10, 11, 12, 13, 14, 16, 17]);
  });

  it.each(rows.map(([, threat = "", , tests = ""]) => [threat, tests]))(
    "names tests that are there: %s",
    (_, tests) => {
      const files = tests.split("; ");
      for (const entry of files) {
        const [, path = "", names = ""] = /^`(test\/[\w./-]+\.test\.ts)`(?:: (.*))?$/.exec(entry) ?? [];
        expect([entry, existsSync(resolve(root, path)) && path !== ""]).toEqual([entry, true]);
        const text = readFileSync(resolve(root, path), "utf8");
        for (const [, name = ""] of names.matchAll(/"([^"]+)"/g))
          expect([name, text.includes(`${name}"`)]).toEqual([name, true]);
      }
    },
  );
});
