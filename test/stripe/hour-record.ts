import type { UsageRecord } from "../../src/core/usage-record.ts";
import { decimal, HOUR } from "../engine/world.ts";

/** A record of acme's tokens in the hour that begins then, stated at its begin. */
export function hourRecord(value: string, timestamp: number, identifier: string): UsageRecord {
  return {
    meter: "chat_tokens",
    reportAs: "chat_tokens",
    company: "acme",
    customer: "cus_acme",
    windowStart: timestamp,
    windowEnd: timestamp + HOUR,
    sequence: 0,
    value: decimal(value),
    timestamp,
    identifier,
  };
}
