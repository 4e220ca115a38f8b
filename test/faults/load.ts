import { Agent, get } from "node:http";

import type { SeededRandom } from "./depth.ts";
import type { Oracle } from "./oracle.ts";
import { COMPANIES } from "./place.ts";

/** What one client's stream of requests is made of. */
export interface LoadOptions {
  readonly port: number;
  readonly oracle: Pick<Oracle, "attempted">;
  readonly random: SeededRandom;
  /** Makes each token of the whole test another one. */
  readonly prefix: string;
  readonly companies?: readonly string[];
  readonly clients?: number;
  /** Ends the load after so many requests; without it the load lasts until a request fails. */
  readonly requests?: number;
  /** Further bytes of each event, kept as metadata. */
  readonly padBytes?: number;
  /** Called with the token of each response that arrived whole. */
  readonly onAnswer: (token: string) => void;
}

/** Every answer that did not arrive whole, by what went wrong. */
export interface LoadResult {
  readonly answered: readonly string[];
  readonly failures: readonly string[];
}

/** Sends requests side by side; each client stops at its first failure, which is told and not thrown. */
export async function load(options: LoadOptions): Promise<LoadResult> {
  const {
    port,
    oracle,
    random,
    prefix,
    companies = COMPANIES,
    clients = 8,
    requests = Infinity,
    padBytes = 0,
  } = options;
  const agent = new Agent({ keepAlive: true, maxSockets: clients });
  const answered: string[] = [];
  const failures: string[] = [];
  let sent = 0;
  const client = async (): Promise<void> => {
    while (sent < requests) {
      const token = `${prefix}-${++sent}`;
      const company = random.pick(companies);
      // Hundredths: what is billed are the whole numbers of running sums.
      const tokens = `${random.between(0, 50)}.${random.between(10, 100)}`;
      oracle.attempted({ token, company, tokens });
      const pad = padBytes === 0 ? "" : `&pad=${padBytes}`;
      try {
        await answer(agent, `http://127.0.0.1:${port}/chat?token=${token}&company=${company}&tokens=${tokens}${pad}`);
      } catch (error) {
        failures.push(String(error));
        return;
      }
      answered.push(token);
      options.onAnswer(token);
    }
  };
  await Promise.all(Array.from({ length: clients }, client));
  agent.destroy();
  return { answered, failures };
}

/** Resolves when the whole of a 200 arrived. */
function answer(agent: Agent, url: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const request = get(url, { agent }, (response) => {
      let body = "";
      response.setEncoding("latin1");
      response.on("data", (chunk: string) => (body += chunk));
      response.on("error", reject);
      response.on("end", () => {
        if (response.complete && response.statusCode === 200 && body === "ok") resolve();
        else reject(new Error(`${response.statusCode} ${body}`));
      });
    });
    request.on("error", reject);
  });
}
