import { Agent, request } from "node:http";

import type { SeededRandom } from "./depth.ts";
import type { Attempt, Oracle } from "./oracle.ts";
import { callMaker, MANY, type CallMaker, type SentCall } from "./sent-call.ts";

/** What clients remember from one life of the service to the next. */
export interface Memory {
  /** Calls that were broken off: nobody knows what became of them. */
  readonly unanswered: SentCall[];
  /** Some of the calls whose events are kept, as was answered. */
  readonly kept: SentCall[];
}

/** A call was handed to the operating system; so was one of many events, all or none of them; an answer arrived whole. */
export type LoadStep = "asked" | "asked whole" | "answered";

export interface ServeLoadOptions {
  readonly url: string;
  readonly oracle: Pick<Oracle, "attempted" | "acknowledged" | "whole">;
  readonly random: SeededRandom;
  /** Makes each event of the whole test another one. */
  readonly prefix: string;
  readonly memory: Memory;
  readonly clients?: number;
  readonly onStep?: (step: LoadStep) => void;
  /** Asked before each call; the load lasts until it says no or a call is broken off. */
  readonly goesOn?: () => boolean;
}

/** What the clients saw. */
export interface ServeLoadResult {
  readonly answered: number;
  /** Calls that were sent again, and answered. */
  readonly repeated: number;
  /** Answers that nothing was taken, in words: busy or stopping. */
  readonly refused: readonly string[];
  /** Broken connections, by what went wrong. */
  readonly broken: readonly string[];
  /** Answers that must not be: each is a fault of the service. */
  readonly wrong: readonly string[];
}

/** Calls that are remembered, to be sent again though they were answered. */
const KEPT_MAX = 500;

/** Clients side by side, each on a connection of its own; each ends at its first broken call. */
export async function serveLoad(options: ServeLoadOptions): Promise<ServeLoadResult> {
  const { random, prefix, clients = 8, goesOn = () => true } = options;
  const maker = callMaker(prefix, random);
  const seen: Seen = { answered: 0, repeated: 0, refused: [], broken: [], wrong: [] };
  const agent = new Agent({ keepAlive: true, maxSockets: clients * 2 });
  const sender = new Sender(options, agent, seen);
  const client = async (): Promise<void> => {
    while (goesOn()) if (!(await sender.sendOne(maker))) return;
  };
  await Promise.all(Array.from({ length: clients }, client));
  agent.destroy();
  return seen;
}

/** The first event of a call, where it was sent with a source of its own. */
function takenName(call: SentCall | null): Attempt | null {
  const [event] = call?.events ?? [];
  return event?.token.startsWith("/") === true ? event : null;
}

interface Seen {
  answered: number;
  repeated: number;
  readonly refused: string[];
  readonly broken: string[];
  readonly wrong: string[];
}

/** Whether the service has the events of a call already. */
type Before = "no" | "perhaps" | "surely";

interface Answer {
  readonly status: number;
  readonly text: string;
}

class Sender {
  readonly #options: ServeLoadOptions;
  readonly #agent: Agent;
  readonly #seen: Seen;

  constructor(options: ServeLoadOptions, agent: Agent, seen: Seen) {
    this.#options = options;
    this.#agent = agent;
    this.#seen = seen;
  }

  /** Sends what chance says: a broken-off call or a known one again, one that must be refused, or a new one. False when a connection broke. */
  async sendOne(maker: CallMaker): Promise<boolean> {
    const { random, memory } = this.#options;
    const known = memory.kept.length === 0 ? null : random.pick(memory.kept);
    const chance = random.next();
    if (chance < 0.2 && memory.unanswered.length > 0) {
      const [broken] = memory.unanswered.splice(random.between(0, memory.unanswered.length), 1);
      return broken === undefined || this.#send(broken, "perhaps");
    }
    if (chance < 0.3 && known !== null) return this.#send(known, "surely");
    if (chance < 0.38) return this.#send(maker.spoiled(random.next() < 0.5 ? takenName(known) : null), "no");
    const made = maker.next();
    this.#announce(made);
    if (chance < 0.93) return this.#send(made, "no");
    // On two connections at once.
    const both = await Promise.all([this.#send(made, "perhaps"), this.#send(made, "perhaps")]);
    return both.every(Boolean);
  }

  /** Tells the witness what is about to be sent. */
  #announce({ events, atomic }: SentCall): void {
    const { oracle } = this.#options;
    for (const event of events) oracle.attempted(event);
    if (atomic && events.length > 0) oracle.whole(events.map(({ token }) => token));
  }

  /** Whether an answer came. */
  async #send(call: SentCall, before: Before): Promise<boolean> {
    const { oracle, onStep } = this.#options;
    let answer: Answer;
    try {
      if (call.first !== undefined) await this.#post(call.first);
      answer = await this.#post(call);
    } catch (error) {
      this.#seen.broken.push(String(error));
      this.#perhapsAgain(call, before);
      return false;
    }
    this.#seen.answered += 1;
    if (before !== "no") this.#seen.repeated += 1;
    if (answer.status === 503 || answer.status === 429) {
      this.#seen.refused.push(`${answer.status} ${answer.text.slice(0, 200)}`);
      this.#perhapsAgain(call, before);
    } else {
      const fault = faultOf(call, answer, before === "surely");
      if (fault !== null)
        this.#seen.wrong.push(`${call.path}: ${fault} in ${answer.status} ${answer.text.slice(0, 400)}`);
      else for (const { token } of call.events) oracle.acknowledged(token);
      if (fault === null && call.events.length > 0) this.#remember(call);
    }
    onStep?.("answered");
    return true;
  }

  /** Half of the senders give up: what became of a call must be whole also where nobody completes it. */
  #perhapsAgain(call: SentCall, before: Before): void {
    const { random, memory } = this.#options;
    if (call.answer !== "refusal" && before !== "surely" && random.next() < 0.5) memory.unanswered.push(call);
  }

  #remember(call: SentCall): void {
    const { kept } = this.#options.memory;
    if (kept.length < KEPT_MAX) kept.push(call);
    else kept[this.#options.random.between(0, KEPT_MAX)] = call;
  }

  #post({ path, headers, body, events, atomic }: SentCall): Promise<Answer> {
    const { url, onStep } = this.#options;
    const length = { "content-length": Buffer.byteLength(body) };
    const options = { method: "POST", agent: this.#agent, headers: { ...headers, ...length } };
    return new Promise((resolve, reject) => {
      const sent = request(`${url}${path}`, options, (response) => {
        let text = "";
        response.setEncoding("utf8");
        response.on("data", (chunk: string) => (text += chunk));
        response.on("error", reject);
        response.on("end", () => {
          if (response.complete) resolve({ status: response.statusCode ?? 0, text });
          else reject(new Error("aborted"));
        });
      });
      sent.on("error", reject);
      sent.end(body, () => {
        onStep?.("asked");
        if (atomic && events.length >= MANY) onStep?.("asked whole");
      });
    });
  }
}

/** What is wrong with an answer; null when it is as it must be and all events of the call are kept. */
function faultOf(call: SentCall, { status, text }: Answer, wasKept: boolean): string | null {
  if (call.answer === "refusal") return status === 400 && text.includes('"kept":false') ? null : "not refused whole";
  if (call.answer === "status") return status === 204 || status === 202 ? null : "not taken";
  if (status !== 200) return "not taken";
  if (call.answer === "session") return /"state":"finished"/.test(text) ? null : "not finished";
  const answer: { results?: readonly Result[] } & Partial<Result> = JSON.parse(text);
  const results = answer.results ?? [answer];
  const fits = results.every(({ status: found }) => found === "duplicate" || (!wasKept && found === "stored"));
  if (!fits) return wasKept ? "not known any more" : "not kept";
  return results.length === call.events.length ? null : "not a result for each";
}

interface Result {
  readonly status: string;
}
