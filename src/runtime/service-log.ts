import { pino, type DestinationStream } from "pino";

import { limits } from "../engine/limits.ts";
import type { Logger } from "../engine/ports.ts";

/** How much a service says; each level has those before it. */
export const LOG_LEVELS = ["silent", "error", "warn", "info", "debug"] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

/** Members that are never written, by their exact names in lower case, wherever they stand. */
const SECRETS: ReadonlySet<string> = new Set([
  "apikey",
  "api_key",
  "authorization",
  "cookie",
  "password",
  "proxy-authorization",
  "secret",
  "set-cookie",
  "token",
  "tokensecret",
  "webhooksecret",
  "x-api-key",
]);

/** Lists and objects within one another that are written; what lies deeper is not looked at. */
const DEPTH_MAX = 4;
const TEXT_LENGTH_MAX = 2_000;

/** The service's log: one JSON object a line. What clients sent stands in members alone, never in the sentence. */
export function serviceLogger(options: { readonly level: LogLevel; readonly destination?: DestinationStream }): Logger {
  const log = pino(
    {
      level: options.level,
      base: { pid: process.pid },
      timestamp: pino.stdTimeFunctions.isoTime,
      messageKey: "message",
      formatters: { level: (label) => ({ level: label }) },
    },
    // Synchronous: what was said before a crash is there after it.
    options.destination ?? lastingOutput(),
  );
  const say =
    (level: "debug" | "info" | "warn" | "error") =>
    (facts: object, sentence: string): void => {
      if (log.isLevelEnabled(level)) log[level](cleanFacts(facts), cleanText(sentence));
    };
  return { debug: say("debug"), info: say("info"), warn: say("warn"), error: say("error") };
}

/** A log that cannot be written must not end the service: what it says then waits up to a bound, and is dropped beyond it. */
function lastingOutput(): DestinationStream {
  const output = pino.destination({ fd: 1, sync: true, maxLength: limits.logWaitingBytesMax });
  output.on("error", () => undefined);
  return output;
}

/** Facts as they may be written: without secrets, control characters and endless depth. */
function cleanFacts(facts: object): object {
  const cleaned = clean(facts, 0);
  return typeof cleaned === "object" && cleaned !== null ? cleaned : {};
}

function clean(value: unknown, depth: number): unknown {
  if (typeof value === "string") return cleanText(value);
  if (typeof value === "bigint") return value.toString();
  if (typeof value !== "object" || value === null) return typeof value === "function" ? undefined : value;
  if (depth >= DEPTH_MAX) return "[…]";
  if (value instanceof Error) return clean({ name: value.name, ...membersOf(value) }, depth);
  if (value instanceof Uint8Array) return `[${value.byteLength} bytes]`;
  if (Array.isArray(value)) return value.map((each) => clean(each, depth + 1));
  return Object.fromEntries(
    Object.entries(value).map(([name, member]) => [
      cleanText(name),
      SECRETS.has(name.toLowerCase()) ? "[redacted]" : clean(member, depth + 1),
    ]),
  );
}

function membersOf(error: Error): object {
  const code = "code" in error ? { code: String(error.code) } : {};
  return { ...code, message: error.message, stack: error.stack ?? "" };
}

/** JSON escapes C0 controls itself; C1 controls and line separators would still reach a terminal or split a line. */
function cleanText(text: string): string {
  const short = text.length > TEXT_LENGTH_MAX ? `${text.slice(0, TEXT_LENGTH_MAX)}…` : text;
  return short.replace(/[\p{Cc}\p{Zl}\p{Zp}]/gu, (character) =>
    character === "\n" || character === "\t"
      ? character
      : `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}
