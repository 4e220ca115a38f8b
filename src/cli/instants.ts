import { Option } from "commander";

import { MeterbookError } from "../core/errors.ts";

const UNIT_MS: Readonly<Record<string, number>> = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 };

const END_REMEDY =
  "Write a duration from now (24h), or a later date (2027-01-01) or instant with zone (2027-01-01T10:00:00Z).";

/** `24h`, `30m`, `7d` in milliseconds. */
function durationMs(text: string, option: string): number {
  const match = /^(\d{1,9})(ms|s|m|h|d)$/.exec(text);
  if (match === null)
    throw new MeterbookError("METER_COMMAND_INVALID", `${option} is "${text}"`, {
      remedy: "Write a duration such as 30m, 24h or 7d.",
    });
  return Number(match[1]) * (UNIT_MS[match[2] ?? ""] ?? 0);
}

/** An instant as RFC 3339 (`2026-11-01T00:00:00Z`), a date in UTC (`2026-11-01`), or a duration ago (`24h`). Milliseconds UTC. */
export function instantMs(text: string, option: string, now: number): number {
  if (/^\d+(ms|s|m|h|d)$/.test(text)) return now - durationMs(text, option);
  return writtenMs(
    text,
    option,
    "Write a date (2026-11-01), an instant with zone (2026-11-01T10:00:00Z) or a duration ago (24h).",
  );
}

function writtenMs(text: string, option: string, remedy: string): number {
  const dated = /^\d{4}-\d\d-\d\d$/.test(text);
  const zoned = /^\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d(:\d\d(\.\d+)?)?([Zz]|[+-]\d\d:\d\d)$/.test(text);
  const parsed = dated || zoned ? Date.parse(dated ? `${text}T00:00:00Z` : text.replace(" ", "T")) : Number.NaN;
  if (Number.isNaN(parsed)) {
    throw new MeterbookError("METER_COMMAND_INVALID", `${option} is "${text}"`, { remedy });
  }
  return parsed;
}

/** Keys that are to last for longer need no end. */
const LAST_END_MS = Date.UTC(9999, 11, 31);

/** When something ends: an instant or a date as above, or a duration from now (`24h`). METER_COMMAND_INVALID for one that is over. */
export function endMs(text: string, option: string, now: number): number {
  const isDuration = /^\d+(ms|s|m|h|d)$/.test(text);
  const end = isDuration ? now + durationMs(text, option) : writtenMs(text, option, END_REMEDY);
  if (end > LAST_END_MS)
    throw new MeterbookError("METER_COMMAND_INVALID", `${option} ${text} is after the year 9999.`, {
      remedy: END_REMEDY,
    });
  if (end <= now)
    throw new MeterbookError("METER_COMMAND_INVALID", `${option} ${text} is in the past.`, { remedy: END_REMEDY });
  return end;
}

/** The instants of a half-open range, where given. METER_COMMAND_INVALID when it ends before it begins. */
export function rangeOf(
  given: { readonly from?: string | undefined; readonly to?: string | undefined },
  now: number,
  fromOption = "--from",
): { readonly from?: number; readonly to?: number } {
  const from = given.from === undefined ? undefined : instantMs(given.from, fromOption, now);
  const to = given.to === undefined ? undefined : instantMs(given.to, "--to", now);
  if (from !== undefined && to !== undefined && to <= from)
    throw new MeterbookError("METER_COMMAND_INVALID", `--to ${given.to} is not after ${fromOption} ${given.from}.`, {
      remedy: "Name the earlier instant first; the later one is not part of it.",
    });
  return { ...(from === undefined ? {} : { from }), ...(to === undefined ? {} : { to }) };
}

/** `--limit <n>` of a list; its text is read by `countOf`. */
export function limitOption(description: string): Option {
  return new Option("--limit <n>", description).default("50", "50");
}

/** A whole number of at least 1. */
export function countOf(text: string, option: string): number {
  if (!/^[1-9]\d{0,8}$/.test(text))
    throw new MeterbookError("METER_COMMAND_INVALID", `${option} is "${text}"`, {
      remedy: "Write a whole number of at least 1.",
    });
  return Number(text);
}

/** A TCP port; 0 = any free one. */
export function portOf(text: string): number {
  const port = /^\d{1,5}$/.test(text) ? Number(text) : -1;
  if (port < 0 || port > 65_535)
    throw new MeterbookError("METER_COMMAND_INVALID", `--port is "${text}"`, {
      remedy: "Write a number from 0 to 65535.",
    });
  return port;
}
