import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

import { onTestFinished } from "vitest";

/** What the stand-in does with one call instead of answering it as the service would. */
export type Fault =
  | { readonly kind: "drop_before" }
  /** The events are stored, and the answer is lost. */
  | { readonly kind: "drop_after" }
  | { readonly kind: "hang" }
  | {
      readonly kind: "answer";
      readonly status: number;
      readonly headers?: Readonly<Record<string, string>>;
      readonly body?: unknown;
    };

/** A call as it came. */
export interface SeenCall {
  readonly method: string;
  readonly path: string;
  readonly headers: IncomingMessage["headers"];
  readonly text: string;
}

interface SentEvent {
  readonly source: string;
  readonly id: string;
  readonly type: string;
  readonly subject: string;
  readonly time?: string;
  readonly data: Record<string, unknown>;
}

/** A service on loopback that keeps what it was sent as meterbook does: identity, per-event results, sessions by name. */
export class ServiceStandIn {
  readonly url: string;
  readonly calls: SeenCall[] = [];
  /** Events by identity, as the text that came first. */
  readonly stored = new Map<string, SentEvent>();
  /** For the next calls, in order; then for all of them while `always` is set. */
  readonly faults: Fault[] = [];
  always: Fault | null = null;
  readonly #watchers = new Set<() => void>();
  #gate: Promise<void> = Promise.resolve();

  constructor(url: string) {
    this.url = url;
  }

  /** Resolves once so many calls have come. */
  async called(count: number): Promise<void> {
    while (this.calls.length < count) await this.#change();
  }

  /** Resolves once so many events are stored. */
  async has(count: number): Promise<void> {
    while (this.stored.size < count) await this.#change();
  }

  /** Answers nothing until the returned function is called. */
  hold(): () => void {
    const gate = new AbortController();
    this.#gate = new Promise((resolve) => {
      gate.signal.addEventListener("abort", () => resolve());
    });
    return () => gate.abort();
  }

  get events(): readonly SentEvent[] {
    return [...this.stored.values()];
  }

  async take(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(Buffer.from(chunk));
    const call = {
      method: request.method ?? "",
      path: request.url ?? "",
      headers: request.headers,
      text: Buffer.concat(chunks).toString(),
    };
    this.calls.push(call);
    this.#changed();
    const fault = this.faults.shift() ?? this.always;
    await this.#gate;
    if (fault?.kind === "hang") return;
    if (fault?.kind === "drop_before") return void request.socket.destroy();
    if (fault?.kind === "answer") return reply(response, fault.status, fault.body ?? { title: "no" }, fault.headers);
    const [status, body] = this.#answer(call);
    this.#changed();
    if (fault?.kind === "drop_after") return void request.socket.destroy();
    reply(response, status, body);
  }

  #answer({ path, text }: SeenCall): readonly [number, unknown] {
    if (path === "/v1/events") return this.#events(JSON.parse(text));
    if (path.startsWith("/v1/sessions/")) {
      const body = JSON.parse(text);
      this.stored.set(body.id, { ...body, source: "session", type: path });
      return [200, { status: path.endsWith("start") ? "open" : "finished", session: { id: body.id, state: "open" } }];
    }
    if (path === "/v1/customers/by-tenant/tenant%20123")
      return [200, { id: "c1", key: "acme", name: "Acme", metadata: { tier: "1" }, subjects: ["tenant 123"] }];
    return [404, { code: "METER_NOT_FOUND", title: "Not found", detail: "There is nothing here" }];
  }

  #events(events: readonly SentEvent[]): readonly [number, unknown] {
    if (events.some(({ data }) => data?.["poison"] === true)) return [400, { title: "Bad", detail: "poisoned" }];
    const results = events.map((event, index) => {
      const { source, id, data } = event;
      if (data?.["reject"] === true)
        return { status: "rejected", index, source, id, problems: [{ pointer: "/data/reject", message: "is true" }] };
      const key = `${source}\n${id}`;
      const before = this.stored.get(key);
      if (before === undefined) this.stored.set(key, event);
      const isSame = before === undefined || JSON.stringify(before) === JSON.stringify(event);
      const held = data?.["held"] === true ? [{ meter: "m", reason: "missing_value", detail: "no value" }] : [];
      const status = before === undefined ? "stored" : isSame ? "duplicate" : "conflict";
      return { status, index, source, id, held, unmetered: event.type === "nobody" };
    });
    return [results.every(({ status }) => status === "rejected") ? 400 : 200, { results }];
  }

  #change(): Promise<void> {
    return new Promise((resolve) => {
      const once = (): void => {
        this.#watchers.delete(once);
        resolve();
      };
      this.#watchers.add(once);
    });
  }

  #changed(): void {
    for (const watcher of this.#watchers) watcher();
  }
}

function reply(
  response: ServerResponse,
  status: number,
  body: unknown,
  headers: Readonly<Record<string, string>> = {},
): void {
  response.writeHead(status, { "content-type": "application/json", ...headers });
  response.end(typeof body === "string" ? body : JSON.stringify(body));
}

/** Starts a stand-in that ends with the test. */
export async function startStandIn(): Promise<ServiceStandIn> {
  let standIn: ServiceStandIn | null = null;
  const server = createServer((request, response) => {
    standIn?.take(request, response).catch(() => request.socket.destroy());
  });
  await new Promise<void>((resolve) => {
    server.listen(0, "127.0.0.1", resolve);
  });
  const { port } = server.address() as AddressInfo;
  standIn = new ServiceStandIn(`http://127.0.0.1:${port}`);
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  return standIn;
}
