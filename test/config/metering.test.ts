import { readFileSync } from "node:fs";
import { resolve } from "node:path";

import { Ajv2020 } from "ajv/dist/2020.js";
import { describe, expect, it } from "vitest";
import { parse } from "yaml";

import { configJsonSchema } from "../../src/config/index.ts";
import { accepted, printed, read } from "./reading.ts";

const BOTBOT = readFileSync(resolve(import.meta.dirname, "../../examples/botbot/meterbook.yaml"), "utf8");
const env = { RECORDS_SECRET: "a-secret-of-32-characters-length" };

describe("meter types, guides and customers' meters of a configuration", () => {
  it("are read with their defaults", () => {
    const { metering } = accepted(read(BOTBOT));
    expect(metering?.meterTypes.map(({ name }) => name)).toEqual([
      "L1_Llama3",
      "L1_Gemini_Pro",
      "L1_Claude3_Sonnet",
      "L2_GPT4o",
      "L2_Gemini_Flash",
      "L2_Claude3_Opus",
    ]);
    expect(metering?.buckets).toHaveLength(12);
    expect(metering?.guides[0]).toMatchObject({
      key: "botbot",
      validate: [{ path: "data.region", op: "in", value: ["APAC", "EMEA", "AMER"] }],
      allowNegative: false,
      report: false,
      suspendedMax: null,
      rules: [{ key: "l1", when: "all", createOnFirstUse: null }, { key: "l2" }],
    });
    expect(metering?.latenessMs).toBe(300_000);
    expect(metering?.sinks).toEqual([
      { name: "golden", kind: "file", path: "/app/data/golden-records.ndjson", format: "ndjson" },
    ]);
  });

  it("are no part of the settings where a file speaks of none", () => {
    expect(accepted(read("version: 1\nmeters: {}\n"))).not.toHaveProperty("metering");
  });

  it("of the example fit the JSON Schema", () => {
    const validate = new Ajv2020({ strict: false }).compile(configJsonSchema());
    validate(parse(BOTBOT));
    expect(validate.errors).toBeNull();
  });

  it.each([
    ["a zone that is none", "timezone: Etc/UTC", "timezone: Etc/UCT2", 'there is no time zone "Etc/UCT2"'],
    ["a schedule that never comes", 'day: "1"', 'day: "0"', "resetSchedule"],
    ["an unknown type", "meterType: L1_Llama3, guide", "meterType: L1_Lama3, guide", 'Did you mean "L1_Llama3"?'],
    ["an unknown guide", "L1_Llama3, guide: botbot", "L1_Llama3, guide: botbt", 'Did you mean "botbot"?'],
    ["an aggregation that is none", "aggregation: sum", "aggregation: avg", '"sum"|"increment"|"min"|"max"'],
    ["a path outside of an event", "value: data.apiCalls", "value: dota.apiCalls", 'no event has "dota"'],
    ["two fields with one label", "[[data.region], [data.status]]", "[[data.region], [data.x.region]]", "one label"],
    ["a guide's key in capitals", "\n  botbot:", "\n  Botbot:", "lower-case"],
    ["a sink of no kind", "kind: file", "kind: fax", '"file"|"webhook"'],
    ["a file with a URL", "kind: file,", "kind: file, url: https://example.com,", "a file has no url"],
  ])("are refused for %s", (_name, from, to, sentence) => {
    expect(BOTBOT).toContain(from);
    expect(printed(read(BOTBOT.replace(from, () => to)))).toContain(sentence);
  });

  it.each([
    ["plain http elsewhere", "url: http://example.com/", "expected an https URL"],
    ["a password in the URL", "url: https://a:b@example.com/", "a URL with a password"],
    [
      "a secret in clear",
      'url: https://example.com/, secret: "a-secret-of-32-characters-length"',
      "does not stand in this file",
    ],
    ["a path", "url: https://example.com/, path: x", "a webhook has no path"],
    ["no url", 'secret: "${RECORDS_SECRET}"', "a webhook needs its url"],
  ])("have no webhook with %s", (_name, members, sentence) => {
    const text = `version: 1\nmeters: {}\nrecords:\n  sinks:\n    hook: { kind: webhook, ${members} }\n`;
    expect(printed(read(text, { env }))).toContain(sentence);
  });

  it.each(["https://hooks.example.com/x", "http://127.0.0.1:8080/x", "http://localhost/x", "http://[::1]:1/x"])(
    "may call %s",
    (url) => {
      const sink = `{ kind: webhook, url: "${url}", secret: "\${RECORDS_SECRET}", allowPrivate: true }`;
      const text = `version: 1\nmeters: {}\nrecords:\n  lateness: 0s\n  sinks:\n    hook: ${sink}\n`;
      expect(accepted(read(text, { env })).metering).toMatchObject({
        latenessMs: 0,
        sinks: [{ name: "hook", kind: "webhook", url, secret: env.RECORDS_SECRET, allowPrivate: true }],
      });
    },
  );
});
