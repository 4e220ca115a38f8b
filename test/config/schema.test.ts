import { Ajv2020 } from "ajv/dist/2020.js";
import { describe, expect, it } from "vitest";
import { parse } from "yaml";

import { configJsonSchema } from "../../src/config/index.ts";
import { EXAMPLE } from "./example.ts";

const validate = new Ajv2020({ strict: false }).compile(configJsonSchema());
const accepts = (text: string): boolean => validate(parse(text));

describe("the JSON Schema", () => {
  it("accepts the example, and variables where texts stand", () => {
    expect(accepts(EXAMPLE)).toBe(true);
    expect(accepts(EXAMPLE.replace("mode: test", "mode: ${MODE:-test}").replace("400d", "${KEEP}"))).toBe(true);
  });

  it.each([
    ["aggregate: sum ", "aggregate: summ "],
    ["missingValue:", "missingvalue:"],
    ["version: 1", "version: 2"],
    ['unitAmount: "0.002"', "unitAmount: 0.002"],
    ["keepEvents: 400d", "keepEvents: 400 days"],
    ["response.status: 200", 'response.status: { ">=": 200 }'],
    ["  chat_tokens:\n", "  ChatTokens:\n"],
  ])("refuses %j written %j", (from, to) => {
    expect(EXAMPLE).toContain(from);
    expect(accepts(EXAMPLE.replace(from, () => to))).toBe(false);
  });

  it("describes every key, as help in an editor", () => {
    const bare: string[] = [];
    const definitions = new Map<string, unknown>();
    const visit = (schema: unknown, path: string): void => {
      if (typeof schema !== "object" || schema === null) return;
      for (const [key, value] of Object.entries(schema)) {
        if (key === "properties") {
          for (const [name, property] of Object.entries(value)) {
            const isDescribed =
              typeof property === "object" && property !== null && ("description" in property || "$ref" in property);
            if (!isDescribed) bare.push(`${path}.${name}`);
            definitions.set(`${path}.${name}`, property);
            visit(property, `${path}.${name}`);
          }
        } else visit(value, path);
      }
    };
    visit(configJsonSchema(), "");
    expect(definitions.size).toBeGreaterThan(50);
    expect(bare).toEqual([]);
  });
});
