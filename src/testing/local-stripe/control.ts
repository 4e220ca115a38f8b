import { isMeterbookError } from "../../core/errors.ts";
import { moveClock, runDue } from "./agenda.ts";
import type { Answer } from "./answer.ts";
import { controlExamples } from "./control-examples.ts";
import { orderFault } from "./faults.ts";
import { invoicedUsage } from "./invoiced.ts";
import { ledgerEntries } from "./ledger.ts";
import { disturbWebhooks, invalidOption, setLags } from "./options.ts";
import { applySeed } from "./seed-file.ts";
import { deleteCustomer, switchMeter, cancelSubscription } from "./seeds.ts";
import { clockMs, type LocalState } from "./state.ts";
import { StripeRefusal } from "./stripe-refusal.ts";
import { rollWebhookSecret } from "./webhooks/registry.ts";

/** Paths that are not Stripe's: what a test in another process asks and orders. Bodies are JSON. */
export const CONTROL_PREFIX = "/_local/";

/** Tries all deliveries that are due; ends when none is. */
export type DeliverAll = () => Promise<number>;

type Body = Readonly<Record<string, unknown>>;
type Control = (state: LocalState, body: Body, deliver: DeliverAll, base: string) => object | Promise<object>;

const CONTROLS: Readonly<Record<string, Control>> = {
  "GET help": (state, _body, _deliver, base) => ({ controls: CONTROL_PATHS, examples: controlExamples(state, base) }),
  "GET ledger": (state) => ledgerEntries(state),
  "GET requests": (state) => state.calls,
  "GET deliveries": (state) => state.deliveryLog,
  "GET invoiced": (state) => invoicedUsage(state),
  "GET clock": (state) => ({ now: clockMs(state) }),
  "POST clock": (state, { advanceMs, setMs }) => ({
    now: moveClock(state, setMs === undefined ? whole(advanceMs, "advanceMs") : whole(setMs, "setMs") - clockMs(state)),
  }),
  "POST faults": (state, body) => done(orderFault(state.faults, body)),
  "DELETE faults": (state) => ({ removed: state.faults.splice(0).length }),
  "POST forget": (state) => done(state.identifiers.clear()),
  "POST lag": (state, body) => done(setLags(state, body)),
  "POST seed": (state, body) => applySeed(state, body),
  "POST customers/delete": (state, { id }) => done(deleteCustomer(state, text(id, "id"))),
  "POST meters/deactivate": (state, { event_name: name }) => done(switchMeter(state, text(name, "event_name"), false)),
  "POST meters/reactivate": (state, { event_name: name }) => done(switchMeter(state, text(name, "event_name"), true)),
  "POST subscriptions/cancel": (state, { id, atMs }) =>
    done(cancelSubscription(state, text(id, "id"), atMs === undefined ? undefined : whole(atMs, "atMs"))),
  "POST webhooks": (state, body) => done(disturbWebhooks(state, body)),
  "POST webhooks/roll": (state, { id, overlapMs }) => ({
    secret: rollWebhookSecret(state, text(id, "id"), whole(overlapMs ?? 86_400_000, "overlapMs")),
  }),
  "POST webhooks/deliver": async (_state, _body, deliver) => ({ attempts: await deliver() }),
};

/** The controls that there are, as method and path. */
const CONTROL_PATHS: readonly string[] = Object.keys(CONTROLS).map((name) => name.replace(" ", ` ${CONTROL_PREFIX}`));

interface ControlCall {
  readonly method: string;
  readonly path: string;
  readonly body: string;
  /** Where the caller reached this local Stripe, such as `http://127.0.0.1:4403`. */
  readonly base: string;
}

/** Answers a control, after all that is due has run. */
export async function answerControl(state: LocalState, call: ControlCall, deliver: DeliverAll): Promise<Answer> {
  const name = `${call.method} ${call.path.slice(CONTROL_PREFIX.length)}`;
  const control = Object.hasOwn(CONTROLS, name) ? CONTROLS[name] : undefined;
  if (control === undefined) {
    return json(404, { error: { message: `No such control: ${call.method} ${call.path}`, controls: CONTROL_PATHS } });
  }
  try {
    runDue(state);
    return json(200, await control(state, readBody(call.body), deliver, call.base));
  } catch (error) {
    if (isMeterbookError(error) || error instanceof StripeRefusal || error instanceof SyntaxError) {
      const remedy = isMeterbookError(error) ? error.remedy : null;
      return json(400, { error: { message: error.message, ...(remedy === null ? {} : { remedy }) } });
    }
    throw error;
  }
}

function readBody(body: string): Body {
  const value: unknown = body === "" ? {} : JSON.parse(body);
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw invalidOption("The body of a control is one JSON object.");
  }
  return Object.fromEntries(Object.entries(value));
}

function whole(value: unknown, name: string): number {
  if (typeof value !== "number" || !Number.isSafeInteger(value)) {
    throw invalidOption(`${name} must be whole milliseconds, not ${JSON.stringify(value) ?? "absent"}.`);
  }
  return value;
}

function text(value: unknown, name: string): string {
  if (typeof value !== "string") {
    throw invalidOption(`${name} must be a text, not ${JSON.stringify(value) ?? "absent"}.`);
  }
  return value;
}

function done(_effect: void): object {
  return {};
}

function json(status: number, body: object): Answer {
  return { status, body: JSON.stringify(body), headers: {} };
}
