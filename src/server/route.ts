import type { IncomingMessage } from "node:http";

import type { z } from "zod";

import type { Backend } from "./backend.ts";

/** What a key may do. `admin` may everything. */
export const SCOPES = ["ingest", "read", "admin"] as const;
export type Scope = (typeof SCOPES)[number];

/** Who makes a call. */
export interface Caller {
  /** Kept in histories: `key:<prefix>`, `local` on an open loopback service, `token:<customer id>`, `portal:<subject>`. */
  readonly author: string;
  readonly scopes: readonly Scope[];
  /** Set for a customer's token: all that it may see is this customer's, and these meters (null = all). */
  readonly customer: { readonly id: string; readonly meters: readonly string[] | null } | null;
  /** Set for a portal token: all that it may see is this subject's, and these meters (null = all). */
  readonly portal: { readonly subject: string; readonly meters: readonly string[] | null } | null;
}

/** One call, with everything that was sent in it judged. */
export interface Call<Params, Query, Body> {
  readonly backend: Backend;
  readonly caller: Caller;
  readonly params: Params;
  readonly query: Query;
  readonly body: Body;
  /** Milliseconds UTC. */
  readonly now: number;
  readonly request: IncomingMessage;
}

/** An answer. `body` is written as JSON; a text or bytes as they are, with `contentType`. */
export interface Reply {
  readonly status: number;
  readonly body?: unknown;
  readonly contentType?: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** For long answers: written one after another, with back-pressure. Instead of `body`. */
  readonly chunks?: AsyncIterable<string | Uint8Array>;
}

/** One route of the contract: what validates a call is what the OpenAPI document says of it. */
export interface RouteDefinition<Params extends z.ZodType, Query extends z.ZodType, Body extends z.ZodType> {
  readonly method: "get" | "post" | "put" | "patch" | "delete";
  /** `/v1/meters/{idOrKey}`: the names in braces are those of `params`. */
  readonly path: string;
  /** `open`: no key needed. `token`: a key with `read`, or a customer's token. `portal`: a portal token alone. */
  readonly access: Scope | "open" | "token" | "portal";
  readonly tag: string;
  readonly summary: string;
  readonly description?: string;
  readonly params?: Params;
  /** Over query parameters: a repeated one is a list, `a[b]=c` an object. */
  readonly query?: Query;
  readonly body?: Body;
  /** The body is not parsed: `call.body` is its bytes after inflating. */
  readonly rawBody?: boolean;
  /** `invalid_parameters`: problems have that member too, as OpenMeter's v3 has it. */
  readonly mistakesAs?: "invalid_parameters" | undefined;
  /** Media types of a raw body, for the document. */
  readonly accepts?: readonly string[];
  /** By status: what it means, and its schema. Problems (4xx, 5xx) are added to each route. */
  readonly answers: Readonly<
    Record<
      number,
      { readonly description: string; readonly schema?: z.ZodType; readonly contentTypes?: readonly string[] }
    >
  >;
  readonly reply: (call: Call<z.output<Params>, z.output<Query>, z.output<Body>>) => Promise<Reply>;
}

/** A route whose types are settled. */
export type Route = RouteDefinition<z.ZodType, z.ZodType, z.ZodType>;

/** Settles a route's types: the schemas are what the handler's values come from. */
export function route<
  Params extends z.ZodType = z.ZodUndefined,
  Query extends z.ZodType = z.ZodUndefined,
  Body extends z.ZodType = z.ZodUndefined,
>(definition: RouteDefinition<Params, Query, Body>): Route {
  const { reply } = definition;
  return {
    ...definition,
    // The caller of a route gives what its own schemas made of the call.
    reply: (call) => Reflect.apply(reply, undefined, [call]),
  };
}
