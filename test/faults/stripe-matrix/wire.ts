import { Agent } from "node:http";

import { Stripe } from "stripe";

import type { FaultOrder } from "../../../src/testing/local-stripe/faults.ts";
import {
  startLocalStripe,
  type LocalStripe,
  type LocalStripeOptions,
} from "../../../src/testing/local-stripe/local-stripe.ts";
import type { ManualClock } from "../../../src/testing/manual-clock.ts";
import { refusal, scriptedStripe, type Scripted, type ScriptedStripe } from "../../stripe/scripted-stripe.ts";
import type { ArrivalOrder, FaultName } from "./factors.ts";
import type { Life } from "./life.ts";
import { promised } from "./promised.ts";

/** The only path on which usage is reported. */
const REPORTS = "/v1/billing/meter_events";

/** A call as one reporter's client made it, at the true time. */
export interface MadeCall {
  readonly at: number;
  readonly life: string;
  readonly method: string;
  readonly path: string;
  readonly form: string;
  /** Null while no answer came. */
  status: number | null;
}

/** The way between reporters and a local Stripe: it knows every call, and strikes those for one row with a fault. */
export interface Wire {
  readonly stripe: LocalStripe;
  readonly made: readonly MadeCall[];
  /** The genuine client's genuine transport, over HTTP, for one reporter. */
  transport(life: Life): Stripe.HttpClient;
  /** The fault that calls for the struck row meet from now on; 401 and 403 are met by all. Null = none. */
  strike(fault: FaultName | null): void;
  /** Hands over what the network had kept back; Stripe takes it as any other call. */
  deliverLate(): Promise<void>;
  close(): Promise<void>;
}

type Call = Parameters<Stripe.HttpClient["makeRequest"]>;
type Answer = ReturnType<Stripe.HttpClient["makeRequest"]>;

/** A report that a test strikes, by what it says: the first window of one company on one meter. */
function isStruckForm(path: string, form: string, windowStart: number): boolean {
  const fields = new URLSearchParams(form);
  return (
    path === REPORTS &&
    fields.get("event_name") === "chat_tokens" &&
    fields.get("payload[stripe_customer_id]") === "cus_acme" &&
    fields.get("timestamp") === String(windowStart / 1_000)
  );
}

export interface WireOptions {
  readonly clock: ManualClock;
  readonly order: ArrivalOrder;
  /** Start of the window whose report is struck. */
  readonly struckWindow: number;
  /** Which of Stripe's refusals 400 is. */
  readonly variety: number;
  readonly stripe?: LocalStripeOptions;
}

/** What one wire is made of, and what it does at the moment. */
interface Network {
  readonly options: WireOptions;
  readonly stripe: LocalStripe;
  /** Answers what the local Stripe has no fault for. */
  readonly scripted: ScriptedStripe;
  readonly client: Stripe.HttpClient;
  readonly tlsClient: Stripe.HttpClient;
  readonly closedPort: number;
  readonly made: MadeCall[];
  readonly keptBack: Call[];
  /** What is told when Stripe has taken a call, by its Idempotency-Key. */
  readonly arrivals: Map<string, () => void>;
  readonly turnstile: (work: () => Promise<void>) => Promise<void>;
  readonly swap: () => Promise<() => void>;
  fault: FaultName | null;
  /** The struck row's call was refused for its key: from then on all are. */
  isKeyRefused: boolean;
  script: Scripted;
}

/** Starts a local Stripe and the way to it. */
export async function openWire(options: WireOptions): Promise<Wire> {
  const { clock } = options;
  const arrivals = new Map<string, () => void>();
  const stripe = await startLocalStripe({
    clock,
    concurrencyConflicts: true,
    ...options.stripe,
    onCall: ({ requestId, idempotencyKey }) => arrivals.get(idempotencyKey ?? requestId)?.(),
  });
  const agent = new Agent({ keepAlive: true });
  const network: Network = {
    options,
    stripe,
    scripted: await scriptedStripe(() => {
      const { script } = network;
      return { ...script, headers: { date: new Date(clock.now()).toUTCString(), ...script.headers } };
    }),
    client: Stripe.createNodeHttpClient(agent),
    tlsClient: Stripe.createNodeHttpClient(),
    closedPort: await portOfNobody(),
    made: [],
    keptBack: [],
    arrivals,
    turnstile: oneByOne(),
    swap: pairSwapper(),
    fault: null,
    isKeyRefused: false,
    script: {},
  };
  return {
    stripe,
    made: network.made,
    strike: (fault) => void Object.assign(network, { fault, isKeyRefused: false }),
    transport: (life) => ({
      getClientName: () => "node",
      makeRequest: async (...call) => life.alive(send(network, life, call)),
    }),
    deliverLate: async () => {
      for (const call of network.keptBack.splice(0)) await copy(network, call);
    },
    close: async () => {
      agent.destroy();
      await network.scripted.close();
      await stripe.close();
    },
  };
}

async function send(network: Network, life: Life, call: Call): Answer {
  const { clock, order, struckWindow } = network.options;
  const [, , path, method, , form] = call;
  const entry: MadeCall = { at: clock.now(), life: life.name, method, path, form, status: null };
  network.made.push(entry);
  if (path !== REPORTS) return carry(network, call, network.isKeyRefused ? "401" : null, () => undefined);
  const isStruck = isStruckForm(path, form, struckWindow);
  const letOtherGo = order === "reordered" ? await network.swap() : () => undefined;
  let answer: Answer | null = null;
  await network.turnstile(async () => {
    const met = faultFor(network, isStruck);
    const { promise: arrived, resolve } = promised<void>();
    answer = carry(network, call, met, resolve);
    answer.then(
      (heard) => void (entry.status = heard.getStatusCode()),
      () => undefined,
    );
    await arrived;
    if (order === "duplicated" && !isRefusedTwice(met)) await copy(network, call);
  });
  letOtherGo();
  if (isStruck && life.diesAt("after it sent")) return life.die();
  return answer ?? network.client.makeRequest(...call);
}

function faultFor(network: Network, isStruck: boolean): FaultName | null {
  const { fault } = network;
  if (fault === "403") return fault;
  if (fault === "401") {
    network.isKeyRefused ||= isStruck;
    return network.isKeyRefused ? fault : null;
  }
  // The first copy is counted, and every further one is answered as known.
  if (fault === "400 already exists" && isStruck) network.fault = null;
  return isStruck ? fault : null;
}

/** One call over the network, under a fault; resolves at its answer. `arrived` is called when Stripe has taken it or never will. */
async function carry(network: Network, call: Call, met: FaultName | null, arrived: () => void): Answer {
  const { stripe, options, client, tlsClient, scripted, keptBack, arrivals } = network;
  const [, , path, , headers] = call;
  const key = Object.entries(headers).find(([name]) => name.toLowerCase() === "idempotency-key")?.[1];
  arrivals.set(String(key), arrived);
  const mayComeLate = options.order === "reordered";
  if (mayComeLate && (met === "connection refused" || met === "reset before it is counted")) keptBack.push(call);
  try {
    if (met === null || met === "200") return await client.makeRequest(...call);
    if (met === "connection refused") return await client.makeRequest(...withAddress(call, network.closedPort, "http"));
    if (met === "TLS failure") return await tlsClient.makeRequest(...withAddress(call, stripe.port, "https"));
    if (met === "400 for good" || met === "429 with Retry-After" || met === "redirect") {
      const refused = REFUSALS[options.variety % REFUSALS.length] ?? {};
      network.script = met === "redirect" ? MOVED : met === "400 for good" ? refused : SLOW_DOWN;
      return await client.makeRequest(...withAddress(call, portOf(scripted), "http"));
    }
    stripe.failNext({ ...LOCAL_FAULTS[met], on: path === REPORTS ? "meter_event.create" : "any" });
    return await (met === "time-out after it is counted" ? timedOut(network, call) : client.makeRequest(...call));
  } finally {
    arrived();
  }
}

/** The client gives up soon, and the clock says that it took the whole time. */
async function timedOut({ client, options }: Network, call: Call): Answer {
  const [host, port, path, method, headers, form, protocol, timeoutMs] = call;
  try {
    return await client.makeRequest(host, port, path, method, headers, form, protocol, TIMEOUT_MS);
  } finally {
    options.clock.advance(timeoutMs);
  }
}

/** The network delivers a request once more; nobody hears the answer. */
async function copy({ client }: Network, call: Call): Promise<void> {
  const answer = await client.makeRequest(...call).catch(() => null);
  await answer?.toJSON().catch(() => undefined);
}

/** Real time after which the client gives up a call that hangs. */
const TIMEOUT_MS = 60;

const LOCAL_FAULTS: Readonly<Record<Exclude<FaultName, ElsewhereMade>, FaultOrder>> = {
  "reset before it is counted": { kind: "reset", when: "before" },
  "reset after it is counted": { kind: "reset", when: "after" },
  "400 already exists": { kind: "reset", when: "after" },
  "401": { kind: "unauthorized" },
  "403": { kind: "forbidden" },
  "409": { kind: "conflict" },
  "429": { kind: "rate_limit" },
  "500 that is kept": { kind: "server_error", when: "after", stored: true },
  "503": { kind: "server_error", when: "before", status: 503, stored: false },
  "200 with another body, counted": { kind: "wrong_body", when: "after", body: "html" },
  "200 with another body, not counted": { kind: "wrong_body", when: "before", body: "other_object" },
  "time-out after it is counted": { kind: "hang", when: "after" },
  "redirect with a page": { kind: "redirect" },
  "slow drip": { kind: "drip", byteEveryMs: 1 },
};

type ElsewhereMade =
  | "200"
  | "connection refused"
  | "TLS failure"
  | "400 for good"
  | "429 with Retry-After"
  | "redirect";

/** Whether the network's second copy would meet the same answer, without an effect. */
function isRefusedTwice(met: FaultName | null): boolean {
  return met !== null && ["400 for good", "401", "403", "connection refused", "TLS failure"].includes(met);
}

/** What Stripe says when a meter event can never be taken, as far as its codes are known. */
const REFUSALS: readonly Scripted[] = [
  refusal(400, "No such customer: 'cus_acme'"),
  refusal(400, "No active meter found for the event name chat_tokens."),
  refusal(400, "The meter event's value must be a number with up to 15 significant digits."),
  refusal(400, "The timestamp must be within the past 35 calendar days."),
  refusal(400, "Received unknown parameter: payload[meterbook_company]"),
  refusal(402, "Your account cannot currently make requests."),
];

const MOVED = refusal(301, "Moved.", { headers: { location: "https://example.invalid/" } });
/** What "429 with Retry-After" asks for; longer than any pause of ours. */
export const RETRY_AFTER_MS = 600_000;
const SLOW_DOWN = refusal(429, "Request rate limit exceeded.", {
  headers: { "retry-after": String(RETRY_AFTER_MS / 1_000) },
});

function withAddress([host, , ...rest]: Call, port: number, protocol: "http" | "https"): Call {
  const [path, method, headers, form, , timeout] = rest;
  return [host, String(port), path, method, headers, form, protocol, timeout];
}

function portOf({ url }: ScriptedStripe): number {
  return Number(new URL(url).port);
}

/** A port at which nobody listens any more. */
async function portOfNobody(): Promise<number> {
  const server = await scriptedStripe(() => ({}));
  await server.close();
  return portOf(server);
}

/** Lets one after the other through, in order of coming. */
function oneByOne(): (work: () => Promise<void>) => Promise<void> {
  let last = Promise.resolve();
  return async (work) => {
    const before = last;
    const { promise, resolve } = promised<void>();
    last = promise;
    await before;
    try {
      await work();
    } finally {
      resolve();
    }
  };
}

/** Of two calls that are under way together the later one goes first; one alone is kept for a moment only. */
function pairSwapper(): () => Promise<() => void> {
  let first: (() => void) | null = null;
  return async () => {
    if (first !== null) {
      const letGo = first;
      first = null;
      return letGo;
    }
    const { promise, resolve } = promised<void>();
    first = resolve;
    const alone = setTimeout(() => {
      if (first === resolve) first = null;
      resolve();
    }, ALONE_MS);
    await promise;
    clearTimeout(alone);
    return () => undefined;
  };
}

const ALONE_MS = 3;
