import type { Stripe } from "stripe";

import { respond, type ReadRequest } from "../../src/testing/local-stripe/respond.ts";
import { nextId, nowMs, type LocalState } from "../../src/testing/local-stripe/state.ts";
import type { SeededRandom } from "../faults/seeded-random.ts";
import { STRIPE_TROUBLES, type FaultPlan, type StripeTrouble } from "./plan.ts";
import type { Actor, Scheduler } from "./scheduler.ts";

/** One report as it reached the biller, whether or not its sender ever learned of it. */
interface SeenReport {
  readonly at: number;
  readonly form: string;
}

/** What the biller's side of the wire saw; the rules of sending are judged by it. */
export interface Wire {
  readonly reports: SeenReport[];
  /** Lanes in which a life of an actor has a report on its way; two at once are a fault of ours. */
  readonly inFlight: WeakMap<Actor, Set<string>>;
  readonly crowded: string[];
}

export interface WireOptions {
  readonly scheduler: Scheduler;
  readonly state: LocalState;
  readonly wire: Wire;
  readonly random: SeededRandom;
  readonly plan: FaultPlan;
  readonly isTroubled: () => boolean;
  readonly startedAt: number;
}

/** The genuine client's transport, with the local Stripe at its other end and the plan's faults between. */
export function simulatedTransport(options: WireOptions, actor: Actor): Stripe.HttpClient {
  const { scheduler } = options;
  return {
    getClientName: () => "simulation",
    makeRequest: async (_host, _port, path, method, headers, requestData) => {
      await scheduler.turn(actor, `call ${method} ${path.split("?")[0] ?? ""}`, 20);
      const trouble = troubleOf(options);
      const lane = laneOf(path, requestData);
      if (lane !== null) enter(options.wire, actor, lane);
      try {
        const answer = await answered(options, { path, method, headers, requestData }, trouble);
        await scheduler.turn(actor, "answer", 30);
        if (answer === null) throw Object.assign(new Error("connect ETIMEDOUT"), { code: "ETIMEDOUT" });
        return answer;
      } finally {
        if (lane !== null) options.wire.inFlight.get(actor)?.delete(lane);
      }
    },
  };
}

interface Outgoing {
  readonly path: string;
  readonly method: string;
  readonly headers: Readonly<Record<string, unknown>>;
  readonly requestData: string;
}

function troubleOf({ plan, random, isTroubled, scheduler, startedAt }: WireOptions): StripeTrouble | null {
  if (!isTroubled()) return null;
  const elapsed = scheduler.now - startedAt;
  if (plan.outage !== null && elapsed >= plan.outage.from && elapsed < plan.outage.to) return "lost_before";
  return STRIPE_TROUBLES.find((kind) => random.next() < plan.stripe[kind]) ?? null;
}

async function answered(
  { state, wire }: WireOptions,
  { path, method, headers, requestData }: Outgoing,
  trouble: StripeTrouble | null,
): Promise<ReturnType<typeof response> | null> {
  const [pathname = "", query = ""] = path.split("?");
  const isReport = pathname === "/v1/billing/meter_events";
  const read: ReadRequest = {
    requestId: nextId(state, "req"),
    method,
    path: pathname,
    form: method === "POST" ? requestData : query,
    authorization: textOf(headers, "authorization") ?? undefined,
    idempotencyKey: textOf(headers, "idempotency-key"),
    apiVersion: textOf(headers, "stripe-version"),
  };
  if (trouble === "lost_before") return null;
  const fault = faultOf(trouble);
  if (fault !== null) state.faults.push({ fault, on: "any", skip: 0, left: 1 });
  if (isReport && trouble !== "unauthorized") wire.reports.push({ at: nowMs(state), form: requestData });
  const delivery = await respond(state, read);
  state.faults.length = 0;
  delivery.release();
  if (trouble === "lost_after" || !("answer" in delivery)) return null;
  const { status, body, headers: extra } = delivery.answer;
  const text = delivery.how === "whole" ? body : body.slice(0, Math.floor(body.length / 2));
  return response(status, text, {
    ...extra,
    date: new Date(nowMs(state)).toUTCString(),
    "request-id": read.requestId,
    "content-type": "application/json",
  });
}

function faultOf(trouble: StripeTrouble | null): LocalState["faults"][number]["fault"] | null {
  if (trouble === "server_error_before") return { kind: "server_error", when: "before" };
  if (trouble === "server_error_after") return { kind: "server_error", when: "after" };
  return trouble === null || trouble === "lost_before" || trouble === "lost_after" ? null : { kind: trouble };
}

function response(status: number, body: string, headers: Readonly<Record<string, string>>) {
  return {
    getStatusCode: () => status,
    getHeaders: () => ({ ...headers }),
    getRawResponse: () => ({ statusCode: status, headers }),
    toStream: (): never => {
      throw new Error("no call here reads a stream");
    },
    toJSON: async (): Promise<unknown> => JSON.parse(body),
  };
}

function textOf(headers: Readonly<Record<string, unknown>>, name: string): string | null {
  const found = Object.entries(headers).find(([key]) => key.toLowerCase() === name)?.[1];
  return typeof found === "string" ? found : null;
}

function laneOf(path: string, form: string): string | null {
  if (!path.startsWith("/v1/billing/meter_events")) return null;
  const fields = new URLSearchParams(form);
  return `${fields.get("event_name") ?? ""} ${fields.get("payload[stripe_customer_id]") ?? ""}`;
}

function enter({ inFlight, crowded }: Wire, actor: Actor, lane: string): void {
  const lanes = inFlight.get(actor) ?? new Set();
  if (lanes.has(lane)) crowded.push(lane);
  inFlight.set(actor, lanes.add(lane));
}
