import type { ServerResponse } from "node:http";

import type { Durability } from "../config/settings.ts";
import { MeterbookError } from "../core/errors.ts";
import type { UsageEvent } from "../core/event.ts";
import { limits } from "../engine/limits.ts";
import type { Logger } from "../engine/ports.ts";
import { nearName } from "../core/near-name.ts";
import type { HookRequest } from "./metered-request.ts";

export type { MeteredRequest } from "./metered-request.ts";

/** What an event keeps of the exchange besides method, path, route, status and duration. */
export type CaptureDepth = "metered" | "headers" | "all";

/** A path with all below it, a glob (`*` within a segment, `**` across segments), or a pattern over the path without query. */
export type PathPattern = string | RegExp;

/** Health checks, by exact path: what `exclude` leaves out unless it is given. */
export const DEFAULT_EXCLUDE: readonly PathPattern[] = [
  /^\/(?:health|healthz|health-?check|livez|readyz|_health)\/?$/i,
];

/** The options of `meter()`. Hooks run once, when the response ends, so authentication has run. */
export interface MeterOptions {
  /** Path of the configuration, or the configuration itself. Default: meterbook.yaml in the working directory. */
  readonly config?: string | object;
  /** Path of the database file; wins over `storage.path`. */
  readonly db?: string;
  /** What a response waits for; wins over `storage.durability`. */
  readonly durability?: Durability;
  /** False: this process records and never reports to the biller. */
  readonly report?: boolean;
  /** False: requests pass unmetered, and `req.meter` does nothing. */
  readonly enabled?: boolean;
  /** Who pays: a text, a whole number, or `{ id, name }`; nothing or "" is nobody. May be async, bounded by limits.hookTimeoutMs. A promise's answer follows the event as an amendment. */
  identifyCompany?(request: HookRequest, response: ServerResponse): unknown;
  /** Which of the company's users it was. As identifyCompany. */
  identifyUser?(request: HookRequest, response: ServerResponse): unknown;
  /** Anything JSON about the exchange; meters read it as `metadata.…`. May be async. */
  getMetadata?(request: HookRequest, response: ServerResponse): unknown;
  /** A session's token; only its keyed hash is kept. */
  getSessionToken?(request: HookRequest, response: ServerResponse): unknown;
  getApiVersion?(request: HookRequest, response: ServerResponse): unknown;
  /** True: this exchange is not recorded. Answers at once; anything but true or false is told, and the exchange recorded. */
  skip?(request: HookRequest, response: ServerResponse): boolean;
  /** Only these paths are metered. Texts and globs match in any case, as routers do. */
  readonly include?: readonly PathPattern[];
  /** These paths are not metered, in exactly this case. Replaces DEFAULT_EXCLUDE. */
  readonly exclude?: readonly PathPattern[];
  /** Gets a copy of the whole event last, changes it or answers another. What meters read is put back afterwards. */
  maskContent?(event: UsageEvent): UsageEvent | undefined;
  /** Further header names, and field paths, whose values are replaced by `[redacted]`, unless a meter reads them. */
  readonly redact?: { readonly headers?: readonly string[]; readonly paths?: readonly string[] };
  readonly capture?: CaptureDepth;
  /** Bytes of a request body that are kept for reading; a longer one holds the meters that need it. Default 100,000. */
  readonly requestMaxBodySize?: number;
  /** As requestMaxBodySize, for response bodies. Default 100,000. */
  readonly responseMaxBodySize?: number;
  /** Response headers that are metered and then removed, so that the client never sees them. */
  readonly stripHeaders?: readonly string[];
  /** Name of a request header that is kept for tracing, such as `x-request-id`. Never used to recognise duplicates. */
  readonly requestId?: string;
  /** Told of each failure inside metering; none reaches the request. */
  onError?(error: unknown, context: { readonly at: string; readonly id?: string }): void;
  /** Told of each recorded event, once its line was written. */
  onEvent?(event: UsageEvent): void;
  /** One log line per request. */
  readonly debug?: boolean;
  readonly logger?: Logger;
}

interface Rule {
  readonly expected: string;
  accepts(value: unknown): boolean;
}

const isFunction: Rule = { expected: "a function", accepts: (value) => typeof value === "function" };
const isText: Rule = {
  expected: "a text that is not empty",
  accepts: (value) => typeof value === "string" && value !== "",
};
const isBoolean: Rule = { expected: "true or false", accepts: (value) => typeof value === "boolean" };
const isSize: Rule = {
  expected: `a whole number of bytes from 0 to ${limits.lineBytesMax}`,
  accepts: (value) => Number.isSafeInteger(value) && Number(value) >= 0 && Number(value) <= limits.lineBytesMax,
};
const isHeaderName: Rule = {
  expected: "a header name",
  accepts: (value) => typeof value === "string" && HEADER_NAME.test(value),
};
const isHeaderNames: Rule = {
  expected: "a list of header names",
  accepts: (value) => Array.isArray(value) && value.every((name) => isHeaderName.accepts(name)),
};
const isTexts: Rule = {
  expected: "a list of field paths",
  accepts: (value) => Array.isArray(value) && value.every((text) => isText.accepts(text)),
};
const isPathPatterns: Rule = {
  expected: 'a list of paths such as "/v1", globs such as "/v1/*/items", or regular expressions',
  accepts: (value) =>
    Array.isArray(value) &&
    value.every((pattern) => pattern instanceof RegExp || (typeof pattern === "string" && /^[/*]/.test(pattern))),
};
const isLogger: Rule = {
  expected: "a logger with debug, info, warn and error",
  accepts: (value) =>
    isObject(value) && ["debug", "info", "warn", "error"].every((level) => typeof value[level] === "function"),
};

const HEADER_NAME = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;

const RULES: Readonly<Record<keyof MeterOptions, Rule>> = {
  config: {
    expected: "a path or a configuration object",
    accepts: (value) => isText.accepts(value) || (isObject(value) && !Array.isArray(value)),
  },
  db: isText,
  durability: oneOf("process", "power", "memory"),
  report: isBoolean,
  enabled: isBoolean,
  identifyCompany: isFunction,
  identifyUser: isFunction,
  getMetadata: isFunction,
  getSessionToken: isFunction,
  getApiVersion: isFunction,
  skip: isFunction,
  include: isPathPatterns,
  exclude: isPathPatterns,
  maskContent: isFunction,
  redact: {
    expected: "an object with headers and paths",
    accepts: (value) => isObject(value) && !Array.isArray(value),
  },
  capture: oneOf("metered", "headers", "all"),
  requestMaxBodySize: isSize,
  responseMaxBodySize: isSize,
  stripHeaders: isHeaderNames,
  requestId: isHeaderName,
  onError: isFunction,
  onEvent: isFunction,
  debug: isBoolean,
  logger: isLogger,
};

const REDACT_RULES: Readonly<Record<"headers" | "paths", Rule>> = { headers: isHeaderNames, paths: isTexts };

/** The options, checked. Throws METER_OPTION_INVALID with what was expected, what came, and what was probably meant. */
export function checkOptions(given: MeterOptions = {}): MeterOptions {
  if (typeof given !== "object" || given === null || Array.isArray(given))
    throw invalid(`meter() takes an object of options; received ${describeValue(given)}.`);
  checkNames(given, RULES, "meter()");
  const { redact } = given;
  if (redact !== undefined) checkNames(redact, REDACT_RULES, "redact");
  return given;
}

function checkNames(given: object, rules: Readonly<Record<string, Rule>>, where: string): void {
  for (const [name, value] of Object.entries(given)) {
    const rule = Object.hasOwn(rules, name) ? rules[name] : undefined;
    if (rule === undefined) throw unknownName(name, rules, where);
    // An option that is written but undefined is one that was left out: `{ db: process.env.DB }`.
    if (value !== undefined && !rule.accepts(value)) {
      throw invalid(`Option ${name} of ${where}: expected ${rule.expected}; received ${describeValue(value)}.`);
    }
  }
}

function unknownName(name: string, rules: object, where: string): MeterbookError {
  const names = Object.keys(rules);
  const meant = nearName(name, names);
  const hint = meant === null ? `Known are ${names.join(", ")}.` : `Did you mean ${meant}?`;
  return invalid(`${where} has no option ${JSON.stringify(name)}. ${hint}`);
}

function oneOf(...choices: readonly string[]): Rule {
  return {
    expected: choices.map((choice) => JSON.stringify(choice)).join(" or "),
    accepts: (value) => typeof value === "string" && choices.includes(value),
  };
}

function invalid(sentence: string): MeterbookError {
  return new MeterbookError("METER_OPTION_INVALID", sentence, {
    remedy: "Correct the option; the README lists them all.",
  });
}

/** A received value in words; long texts are cut, and objects are not opened: they may hold secrets. */
export function describeValue(value: unknown): string {
  if (value === null) return "null";
  if (Array.isArray(value)) return `a list of ${value.length}`;
  if (typeof value === "string") return JSON.stringify(value.length > 60 ? `${value.slice(0, 60)}…` : value);
  if (typeof value === "object") return "then" in value ? "a promise" : "an object";
  if (typeof value === "function" || typeof value === "symbol") return `a ${typeof value}`;
  return typeof value === "number" || typeof value === "bigint" || typeof value === "boolean"
    ? value.toString()
    : "undefined";
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null;
}
