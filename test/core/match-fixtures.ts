import type { UsageEvent } from "../../src/core/event.ts";
import type { MeterDefinition, MeterVersion } from "../../src/core/meter.ts";

/** An exchange as capture makes it: POST /chat, 200, 120 tokens, paid by acme. */
export function chatEvent(changes: Partial<UsageEvent> = {}): UsageEvent {
  return {
    source: "app",
    id: "e1",
    type: "http.request",
    time: 1_000_000,
    company: "acme",
    user: null,
    request: { method: "POST", path: "/chat", route: "/chat", headers: { "x-plan": "pro" }, body: { model: "small" } },
    response: { status: 200, headers: { "x-tokens-used": "120" } },
    metadata: { region: "eu" },
    ...changes,
  };
}

/** The tutorial's meter: tokens of answered chats. */
export function tokenMeter(changes: Partial<MeterDefinition> = {}): MeterDefinition {
  return {
    key: "chat_tokens",
    name: "Chat tokens",
    unit: "token",
    eventType: "http.request",
    match: [
      { path: "request.route", op: "eq", value: "/chat" },
      { path: "response.status", op: "eq", value: 200 },
    ],
    aggregate: "sum",
    value: "response.headers.X-Tokens-Used",
    groupBy: {},
    missingValue: "hold",
    allowNegative: false,
    report: true,
    reportAs: "chat_tokens",
    ...changes,
  };
}

export function firstVersion(definition: MeterDefinition): MeterVersion {
  return { definition, version: 1, effectiveFrom: 0 };
}
