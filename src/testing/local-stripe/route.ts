import type { BehaviourKey } from "./behaviours.ts";
import type { FormTree } from "./form-body.ts";
import type { LocalState } from "./state.ts";
import type { MeterErrorCode } from "./validation/rejection.ts";

/** One call, read and allowed, on its way to its route. */
export interface Call {
  readonly state: LocalState;
  /** The parts of the path that the template names. */
  readonly path: Readonly<Record<string, string>>;
  readonly form: FormTree;
  readonly requestId: string;
  readonly idempotencyKey: string | null;
  /** An order to take a meter event and refuse it later; null = none. */
  readonly rejectLater: MeterErrorCode | null;
}

/** One endpoint. `answer` takes effect and gives the 200's body, or refuses without effect. */
export interface Route {
  readonly operation: string;
  readonly method: "GET" | "POST" | "DELETE";
  /** `/v1/customers/:id` */
  readonly path: string;
  /** What a restricted key needs. */
  readonly right: string;
  /** The rows of the behaviours table that this endpoint shows, refusals not counted. */
  readonly behaviours: readonly BehaviourKey[];
  readonly answer: (call: Call) => object;
  /** What only one call at a time may touch; null = nothing. Reads the form without judging it. */
  readonly lane?: (call: Call) => string | null;
}

/** Whether a path is of the v2 API: JSON bodies, its own idempotency. */
export function isV2(path: string): boolean {
  return path.startsWith("/v2/");
}

/** The first route of the table that fits, with the named parts of the path. Fixed paths stand before templates. */
export function findRoute(
  routes: readonly Route[],
  method: string,
  path: string,
): { readonly route: Route; readonly path: Readonly<Record<string, string>> } | null {
  const parts = path.split("/");
  for (const route of routes) {
    const named = route.method === method ? matchPath(route.path.split("/"), parts) : null;
    if (named !== null) {
      return { route, path: named };
    }
  }
  return null;
}

function matchPath(template: readonly string[], parts: readonly string[]): Record<string, string> | null {
  if (template.length !== parts.length) {
    return null;
  }
  const named: Record<string, string> = {};
  for (const [index, expected] of template.entries()) {
    const part = parts[index] ?? "";
    if (expected.startsWith(":") && part !== "") {
      named[expected.slice(1)] = part;
    } else if (expected !== part) {
      return null;
    }
  }
  return named;
}
