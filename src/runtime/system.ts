import { Console } from "node:console";
import { randomBytes } from "node:crypto";
import { hostname } from "node:os";

import type { Clock, Logger } from "../engine/ports.ts";

/** The machine's own clock, the one place that reads it. */
export const systemClock: Clock = { now: () => Date.now() };

/** Cryptographic randomness, the one place that draws it. */
export const systemRandom = (size: number): Uint8Array => randomBytes(size);

/** A number in [0, 1) for jitter. */
export const systemJitter = (): number => randomBytes(4).readUInt32BE() / 2 ** 32;

/** Resolves after so many milliseconds. */
export const systemWait = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** Resolves when everything that has arrived meanwhile had its turn. */
export const systemTurn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** As systemWait, but nothing stays alive for it: for a bound on work that usually ends long before. */
export const systemDeadline = (ms: number): Promise<void> =>
  new Promise((resolve) => void setTimeout(resolve, ms).unref());

/** Who holds a lease: this host and process. */
export function holderName(): string {
  return `${hostname()}/${process.pid}/${randomBytes(3).toString("hex")}`;
}

/** One line on stderr per message; debug only when asked for. Hosts pass their own logger instead. */
export function stderrLogger(debug: boolean): Logger {
  return {
    debug: (facts, sentence) => (debug ? writeLine("debug", facts, sentence) : undefined),
    info: (facts, sentence) => writeLine("info", facts, sentence),
    warn: (facts, sentence) => writeLine("warning", facts, sentence),
    error: (facts, sentence) => writeLine("error", facts, sentence),
  };
}

/** A console bears a stderr that cannot be written, such as a file on a full disk; writing to the stream would end the app. */
const stderr = new Console(process.stderr);

function writeLine(level: string, facts: object, sentence: string): void {
  const code = "code" in facts ? ` ${String(facts.code)}` : "";
  stderr.error(`meterbook ${level}${code}: ${oneLine(sentence)}`);
}

/** Control characters would let a client's text forge log lines. */
function oneLine(sentence: string): string {
  return sentence.replace(
    /[\u0000-\u0009\u000b-\u001f\u007f\u009b]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}
