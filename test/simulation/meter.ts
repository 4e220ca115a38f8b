import type { MeterDefinition } from "../../src/core/meter.ts";

/** The one meter of the simulation: a sum with fractions, so that the carry of the running total is at work. */
export const METER: MeterDefinition = {
  key: "chat_tokens",
  name: "Chat tokens",
  unit: "token",
  eventType: "http.request",
  match: [{ path: "response.status", op: "eq", value: 200 }],
  aggregate: "sum",
  value: "response.headers.X-Tokens-Used",
  groupBy: {},
  missingValue: "hold",
  allowNegative: false,
  report: true,
  reportAs: "chat_tokens",
};
