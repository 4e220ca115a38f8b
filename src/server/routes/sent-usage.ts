import type { IncomingHttpHeaders } from "node:http";

import { MeterbookError } from "../../core/errors.ts";
import { ownMember } from "../../core/own-member.ts";
import type { BoundaryBody, UsageBody } from "../contract/usage.ts";

/** What both bodies say of who used what where. */
export interface SentPlace {
  readonly tenantId: string;
  readonly deviceId: string | null;
  readonly meterId: string;
  readonly sessionId: string | null;
  readonly metadata: Readonly<Record<string, string>>;
  readonly id: string | null;
  /** Milliseconds UTC. */
  readonly timestamp: number | null;
}

interface Mistake {
  readonly pointer: string;
  readonly message: string;
}

/**
 * Reads members under both spellings and the header fields `x-tenant-id` and `x-device-id`. All mistakes at once:
 * METER_REQUEST_INVALID by `check()`.
 */
export class SentReading {
  readonly #body: Readonly<Record<string, unknown>>;
  readonly #headers: IncomingHttpHeaders;
  readonly #mistakes: Mistake[] = [];

  constructor(body: UsageBody | BoundaryBody, headers: IncomingHttpHeaders) {
    this.#body = body;
    this.#headers = headers;
  }

  place(): SentPlace {
    const metadata = this.#metadata();
    // meter-lib has no member for it and tells its users to name the session among the metadata.
    const named = this.text("session_id", "sessionId") ?? ownMember(metadata, "session_id") ?? null;
    return {
      tenantId: this.#needed("tenant_id", this.#orHeader("tenant_id", "tenantId", "x-tenant-id")),
      deviceId: this.#orHeader("device_id", "deviceId", "x-device-id"),
      meterId: this.#needed("meter_id", this.text("meter_id", "meterId")),
      sessionId: named,
      metadata,
      id: this.#orHeader("id", "id", "idempotency-key"),
      timestamp: this.time("timestamp", "timestamp"),
    };
  }

  /** A text under either spelling; null when there is none. */
  text(snake: string, camel: string): string | null {
    const value = this.#member(snake, camel);
    return typeof value === "string" ? value : null;
  }

  /** A figure as the text of it. */
  figure(snake: string, camel: string): string | null {
    const value = this.#member(snake, camel);
    if (typeof value === "number") return JSON.stringify(value);
    return typeof value === "string" ? value : null;
  }

  /** An instant, milliseconds UTC. */
  time(snake: string, camel: string): number | null {
    const value = this.#member(snake, camel);
    if (typeof value === "string") return Date.parse(value);
    if (typeof value !== "number") return null;
    // Seconds of this century are instants of January 1970 in milliseconds.
    if (Math.abs(value) < MILLISECONDS_MIN) this.mistake(snake, "looks like seconds; milliseconds are expected");
    return value;
  }

  mistake(member: string, message: string): void {
    this.#mistakes.push({ pointer: `/${member}`, message });
  }

  check(): void {
    if (this.#mistakes.length === 0) return;
    throw new MeterbookError("METER_REQUEST_INVALID", "The usage has mistakes", { mistakes: this.#mistakes });
  }

  #member(snake: string, camel: string): unknown {
    const first = ownMember(this.#body, snake);
    const second = snake === camel ? undefined : ownMember(this.#body, camel);
    if (first !== undefined && second !== undefined) this.mistake(camel, `is there as ${snake} too`);
    return first ?? second;
  }

  #metadata(): Readonly<Record<string, string>> {
    const value = ownMember(this.#body, "metadata") ?? {};
    const texts = Object.entries(value).filter((entry): entry is [string, string] => typeof entry[1] === "string");
    return Object.fromEntries(texts);
  }

  #orHeader(snake: string, camel: string, header: string): string | null {
    const stated = this.text(snake, camel);
    const field = ownMember(this.#headers, header);
    const sent = typeof field === "string" && field !== "" ? field : null;
    if (stated !== null && sent !== null && stated !== sent)
      this.mistake(snake, `the header field ${header} says another`);
    return stated ?? sent;
  }

  #needed(member: string, text: string | null): string {
    if (text === null) this.mistake(member, "is missing");
    return text ?? "";
  }
}

/** 3 March 1973: no usage that anybody reports was before it. */
const MILLISECONDS_MIN = 100_000_000_000;
