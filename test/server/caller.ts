import { expect } from "vitest";

import type { Route } from "../../src/server/route.ts";
import { routeTable } from "../../src/server/route-table.ts";
import type { Served } from "./rig.ts";

/** One answer of the service. */
export interface Answered {
  readonly status: number;
  readonly type: string | null;
  readonly text: string;
  /** What stands at a path of the JSON body: `data.0.key`. */
  readonly at: (path: string) => unknown;
}

type Call = (method: string, path: string, body?: unknown, headers?: Record<string, string>) => Promise<Answered>;

/** Makes calls, and holds each answer against the contract of its route: the document says what is answered. */
export function caller({ url, router }: Served, key: string | null = null): Call {
  const table = routeTable(router.routes);
  return async (method, path, body, headers = {}) => {
    const response = await fetch(url + path, {
      method,
      ...(body === undefined ? {} : { body: typeof body === "string" ? body : JSON.stringify(body) }),
      headers: {
        ...(key === null ? {} : { authorization: `Bearer ${key}` }),
        ...(body === undefined ? {} : { "content-type": "application/json" }),
        ...headers,
      },
    });
    const text = await response.text();
    const { status } = response;
    const type = response.headers.get("content-type");
    const match = table.find(method, path.split("?")[0] ?? "");
    if (match.kind === "route") checkAnswer(match.route, status, type, text);
    return { status, type, text, at: (place) => memberAt(text, place) };
  };
}

function checkAnswer({ answers, path }: Route, status: number, type: string | null, text: string): void {
  if (status >= 400 && type === "application/problem+json") return;
  expect([path, ...Object.keys(answers)]).toContain(String(status));
  const schema = answers[status]?.schema;
  if (schema === undefined || type !== "application/json") return;
  const read = schema.safeParse(JSON.parse(text));
  expect(read.success ? null : [path, read.error.issues]).toBeNull();
}

function memberAt(text: string, place: string): unknown {
  const whole: unknown = JSON.parse(text);
  return place
    .split(".")
    .reduce(
      (value, step) => (typeof value === "object" && value !== null ? Reflect.get(value, step) : undefined),
      whole,
    );
}
