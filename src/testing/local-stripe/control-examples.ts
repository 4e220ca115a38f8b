import { meterNamed } from "./meters.ts";
import type { LocalState } from "./state.ts";

/** A control with a call to copy. */
interface ControlExample {
  /** Method and path: `POST /_local/clock`. */
  readonly control: string;
  readonly does: string;
  /** An example body, of a control that takes one. */
  readonly body: object | null;
  /** The call as a shell takes it. */
  readonly curl: string;
}

interface Example {
  readonly does: string;
  readonly body?: object;
}

/** Every control with a call to copy. Its names are those that are there; where none is, those that the example of `POST seed` makes. */
export function controlExamples(state: LocalState, base: string): readonly ControlExample[] {
  return Object.entries(examples(state)).map(([name, { does, body }]) => {
    const [method = "", path = ""] = name.split(" ");
    const order = method === "GET" ? "" : ` -X ${method}`;
    const sent = body === undefined ? "" : ` -d ${quoted(JSON.stringify(body))}`;
    const control = `${method} /_local/${path}`;
    return { control, does, body: body ?? null, curl: `curl -s${order} ${base}/_local/${path}${sent}` };
  });
}

/** What each control does, in an order in which all of them work one after the other. */
function examples(state: LocalState): Readonly<Record<string, Example>> {
  const there = namesThere(state);
  return {
    "GET help": { does: "lists the controls, each with a call to copy" },
    "POST seed": {
      does: "puts customers, meters, subscriptions and webhooks there; answers their ids and secrets",
      body: seedExample(state),
    },
    "GET ledger": { does: "what was counted, entry by entry" },
    "GET requests": { does: "the calls so far, without their keys" },
    "GET deliveries": { does: "the attempts to deliver webhooks" },
    "GET invoiced": { does: "what stands on invoices" },
    "GET clock": { does: "what time it is here, in milliseconds UTC" },
    "POST clock": {
      does: "moves the clock by advanceMs, or to setMs; periods end and invoices become final on the way",
      body: { advanceMs: 3_600_000 },
    },
    "POST faults": {
      does: "lets the next calls fail; skip, times and on (an operation, or any) say which",
      body: { kind: "server_error", when: "after", times: 2 },
    },
    "DELETE faults": { does: "takes back all faults that no call met yet" },
    "POST forget": { does: "forgets the identifiers of meter events, as after 24 hours" },
    "POST lag": {
      does: "lets summaries and searches be behind, milliseconds",
      body: { summaryLagMs: 60_000, searchLagMs: 1_000 },
    },
    "POST meters/deactivate": { does: "deactivates a meter", body: { event_name: there.meter } },
    "POST meters/reactivate": { does: "activates it again", body: { event_name: there.meter } },
    "POST webhooks": {
      does: "disturbs the way of webhooks: duplicates of each, the newest first, delayed",
      body: { duplicates: 1, newestFirst: true, delayMs: 500 },
    },
    "POST webhooks/roll": {
      does: "gives a webhook a new secret; the old one signs beside it for overlapMs",
      body: { id: there.webhook, overlapMs: 3_600_000 },
    },
    "POST webhooks/deliver": { does: "tries all deliveries that are due, now" },
    "POST subscriptions/cancel": {
      does: "ends a subscription now, or at atMs (milliseconds UTC)",
      body: { id: there.subscription },
    },
    "POST customers/delete": { does: "deletes a customer", body: { id: there.customer } },
  };
}

/** Names that are free, so that the example can be sent as often as one likes. */
function seedExample(state: LocalState): object {
  const customer = freeName("cus_example", (name) => state.customers.has(name));
  const meter = freeName("example_tokens", (name) => meterNamed(state, name) !== null);
  return {
    customers: [{ id: customer, name: "Example", metadata: { company_id: customer.replace("cus_", "") } }],
    meters: [{ event_name: meter, formula: "sum" }],
    subscriptions: [{ customer, meters: [meter], interval: "month" }],
    webhooks: [{ url: "http://127.0.0.1:4404/webhook", events: ["*"] }],
  };
}

function freeName(stem: string, isTaken: (name: string) => boolean): string {
  let name = stem;
  for (let number = 2; isTaken(name); number += 1) name = `${stem}_${String(number)}`;
  return name;
}

interface Names {
  readonly customer: string;
  readonly meter: string;
  readonly subscription: string;
  readonly webhook: string;
}

/** The newest that an order can name; where nothing is there, what the seed answers. */
function namesThere(state: LocalState): Names {
  const customer = [...state.customers.values()].findLast(({ deleted }) => !deleted);
  const subscription = [...state.subscriptions.values()].findLast(({ endedAt }) => endedAt === null);
  return {
    customer: customer?.id ?? "cus_example",
    meter: [...state.meters.values()].at(-1)?.eventName ?? "example_tokens",
    subscription: subscription?.id ?? "sub_…, as POST seed answers it",
    webhook: [...state.webhooks.keys()].at(-1) ?? "we_…, as POST seed answers it",
  };
}

/** One word of a shell, whatever it holds. */
function quoted(text: string): string {
  return `'${text.replaceAll("'", String.raw`'\''`)}'`;
}
