import { request } from "node:http";

import { DEMO_COMPANIES } from "./demo-world.ts";

/** One request of the demo's script. */
type Step =
  | { readonly kind: "chat"; readonly key: string | null; readonly message: string }
  | { readonly kind: "stream"; readonly key: string; readonly message: string }
  /** Asks until the API answers 429. */
  | { readonly kind: "limited"; readonly key: string }
  /** Hangs up in the middle of a streamed answer. */
  | { readonly kind: "abort"; readonly key: string; readonly message: string };

const MESSAGES = [
  "How are you?",
  "What do you do?",
  "Tell me a story about a very careful bookkeeper.",
  "Thanks!",
  "Which plan fits a team of seven?",
];

/** A round of traffic: several companies, a 429, an anonymous caller, a stream and an abort. */
export function demoScript(rounds: number): readonly Step[] {
  const { "acme-inc": acme, globex, initech } = DEMO_COMPANIES;
  return Array.from({ length: rounds }, (_, round): Step[] => {
    const message = MESSAGES[round % MESSAGES.length] ?? "";
    return [
      { kind: "chat", key: acme.key, message },
      { kind: "chat", key: globex.key, message: `${message} Briefly, please.` },
      { kind: "stream", key: acme.key, message },
      ...(round % 2 === 0 ? [{ kind: "limited", key: globex.key } as const] : []),
      ...(round % 3 === 0
        ? [{ kind: "chat", key: null, message } as const, { kind: "chat", key: initech.key, message } as const]
        : []),
      ...(round % 4 === 1 ? [{ kind: "abort", key: globex.key, message } as const] : []),
    ];
  }).flat();
}

/** Sends one step; resolves when its answer (or its abort) is over. */
export async function send(apiUrl: string, step: Step): Promise<void> {
  switch (step.kind) {
    case "chat":
      return void (await post(`${apiUrl}/chat`, step.key, step.message));
    case "stream":
      return void (await post(`${apiUrl}/chat/stream`, step.key, step.message));
    case "limited":
      return void (await post(`${apiUrl}/chat`, step.key, "again", { "x-demo-limit": "now" }));
    case "abort":
      return hangUp(`${apiUrl}/chat/stream`, step.key, step.message);
  }
}

async function post(
  url: string,
  key: string | null,
  message: string,
  headers: Record<string, string> = {},
): Promise<string> {
  const authorization: Record<string, string> = key === null ? {} : { authorization: `Bearer ${key}` };
  const response = await fetch(url, {
    method: "POST",
    headers: { "content-type": "application/json", ...authorization, ...headers },
    body: JSON.stringify({ message }),
  });
  return response.text();
}

function hangUp(url: string, key: string, message: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const outgoing = request(
      url,
      { method: "POST", headers: { "content-type": "application/json", authorization: `Bearer ${key}` } },
      (incoming) => {
        incoming.once("data", () => {
          incoming.destroy();
          resolve();
        });
        incoming.once("error", () => resolve());
        incoming.once("end", () => resolve());
      },
    );
    outgoing.once("error", reject);
    outgoing.end(JSON.stringify({ message }));
  });
}
