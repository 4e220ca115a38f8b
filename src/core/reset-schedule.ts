import { Cron } from "croner";

/** When a meter's period ends: cron fields, each `*`, a number, a list, a range or a step; `day` also knows `L`, the last. */
export type ResetSchedule = {
  readonly minute: string;
  readonly hour: string;
  readonly day: string;
  readonly month: string;
  readonly weekday: string;
};

/** The first of each month at midnight. */
export const MONTHLY: ResetSchedule = { minute: "0", hour: "0", day: "1", month: "*", weekday: "*" };

/** Why a schedule cannot be used in this zone, as a sentence; null when it can. */
export function scheduleFault(schedule: ResetSchedule, timezone: string): string | null {
  if (!isZone(timezone)) return `there is no time zone ${JSON.stringify(timezone)}`;
  for (const [field, text] of Object.entries(schedule)) {
    if (/\s/.test(text) || text === "") return `${field} is one cron field, such as "0" or "*"`;
  }
  try {
    const next = compiled(schedule, timezone).nextRun(new Date(0));
    return next === null ? "no day fits this schedule" : null;
  } catch (error) {
    return error instanceof Error ? error.message.replace(/^Cron\w*: /, "") : "this is no schedule";
  }
}

/**
 * The first reset after an instant, milliseconds UTC. A time that a change of clocks leaves out is taken at the change;
 * one that comes twice is taken the first time. Throws a RangeError for a schedule that scheduleFault() refuses.
 */
export function nextReset(schedule: ResetSchedule, timezone: string, after: number): number {
  const next = compiled(schedule, timezone).nextRun(new Date(after));
  if (next === null) throw new RangeError("expected a schedule that comes again");
  return next.getTime();
}

const kept = new Map<string, Cron>();
const KEPT_MAX = 1_000;

/** Compiling costs a hundred times what asking does, and many meters share a schedule. */
function compiled({ minute, hour, day, month, weekday }: ResetSchedule, timezone: string): Cron {
  const pattern = [minute, hour, day, month, weekday].join(" ");
  const key = `${pattern} ${timezone}`;
  const known = kept.get(key);
  if (known !== undefined) return known;
  const made = new Cron(pattern, { timezone, paused: true });
  if (kept.size >= KEPT_MAX) kept.clear();
  kept.set(key, made);
  return made;
}

function isZone(timezone: string): boolean {
  try {
    return new Intl.DateTimeFormat("en", { timeZone: timezone }).resolvedOptions().timeZone !== "";
  } catch {
    return false;
  }
}
