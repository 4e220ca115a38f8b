import { readdirSync, readFileSync, statSync } from "node:fs";
import { join, resolve } from "node:path";

import { describe, expect, it } from "vitest";

import { ERROR_CODES, helpLink, isMeterbookError, MeterbookError } from "../../src/core/errors.ts";

const src = resolve(import.meta.dirname, "../../src");
const page = readFileSync(join(src, "core/ERRORS.md"), "utf8");

function sources(folder: string): string[] {
  return readdirSync(folder).flatMap((name) => {
    const path = join(folder, name);
    return statSync(path).isDirectory() ? sources(path) : path.endsWith(".ts") ? [path] : [];
  });
}

describe("error codes", () => {
  it("are the same on the page and in the list, in the same words", () => {
    const documented = [...page.matchAll(/^## (\w+)\n\n(.+)\n\n(.+)$/gm)].map(([, code, meaning]) => [code, meaning]);
    expect(documented).toEqual(Object.entries(ERROR_CODES));
  });

  it("are each used somewhere, and nothing else that looks like one is", () => {
    const code = sources(src)
      .filter((path) => !path.endsWith("core/errors.ts"))
      .map((path) => readFileSync(path, "utf8"))
      .join("\n");
    const used = new Set([...code.matchAll(/["'`](METER_[A-Z_]+)\b/g)].map((match) => match[1]));
    const environment = new Set(["METER_DB"]);
    expect([...used].filter((name) => !(String(name) in ERROR_CODES) && !environment.has(String(name)))).toEqual([]);
    expect(Object.keys(ERROR_CODES).filter((name) => !code.includes(name))).toEqual([]);
  });

  it("carry cause, remedy and a link, and are recognised across copies of the package", () => {
    const cause = new Error("disk");
    const error = new MeterbookError("METER_STORE_UNREADABLE", "cannot open", { cause, remedy: "make room" });
    expect(error.cause).toBe(cause);
    expect(error.remedy).toBe("make room");
    expect(error.help).toBe(helpLink("METER_STORE_UNREADABLE"));
    expect(isMeterbookError(error)).toBe(true);
    expect(isMeterbookError(cause)).toBe(false);
    expect(isMeterbookError({ [Symbol.for("meterbook.error")]: true })).toBe(true);
  });
});
