import { fork, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";

import { expect, it } from "vitest";

import { cli, records, workspace } from "../cli/cli.ts";

const YAML = `version: 1
storage: { path: ./meter.db }
meters:
  chat_tokens:
    match: { request.route: /chat }
    aggregate: sum
    value: response.headers.X-Tokens-Used
`;

const ROUNDS = 6;
const CLIENTS = 8;

/** Sends requests until the app is gone; answers the tokens of every response that arrived whole, and of every request that was sent. */
async function load(
  port: number,
  app: ChildProcess,
  firstToken: number,
): Promise<{ acknowledged: number[]; attempted: number[] }> {
  const acknowledged: number[] = [];
  const attempted: number[] = [];
  let token = firstToken;
  const gone = once(app, "exit");
  const client = async (): Promise<void> => {
    while (app.signalCode === null) {
      const tokens = token++;
      attempted.push(tokens);
      try {
        const response = await fetch(`http://127.0.0.1:${port}/chat?tokens=${tokens}`);
        if ((await response.text()) === "ok") acknowledged.push(tokens);
      } catch {
        return;
      }
      // The kill comes at a random place of the work, never at a quiet moment.
      if (acknowledged.length === KILL_AFTER[firstToken % KILL_AFTER.length]) app.kill("SIGKILL");
    }
  };
  await Promise.all([...Array.from({ length: CLIENTS }, client), gone]);
  return { acknowledged, attempted };
}

const KILL_AFTER = [40, 173, 7, 311, 96, 220];

it("kill -9 under load: every answered request is counted once, and nothing is invented", async () => {
  const directory = workspace(YAML);
  const answered = new Set<number>();
  const sent = new Set<number>();
  for (let round = 0; round < ROUNDS; round++) {
    const app = fork(join(import.meta.dirname, "killed-app.mjs"), [join(directory, "meterbook.yaml")], {
      cwd: directory,
      stdio: ["ignore", "ignore", "inherit", "ipc"],
    });
    const [{ port }] = (await once(app, "message")) as [{ port: number }];
    const { acknowledged, attempted } = await load(port, app, round * 100_000 + round);
    expect(app.signalCode).toBe("SIGKILL");
    for (const tokens of acknowledged) answered.add(tokens);
    for (const tokens of attempted) sent.add(tokens);
  }
  const events = records(await cli(directory, ["events", "--json", "--limit", "100000"]));
  const counted = events.map((event) =>
    Number((event["response"] as { headers: Record<string, string> }).headers["x-tokens-used"]),
  );
  expect(counted).toHaveLength(new Set(counted).size);
  expect([...answered].filter((tokens) => !counted.includes(tokens))).toEqual([]);
  expect(counted.filter((tokens) => !sent.has(tokens))).toEqual([]);
  const [usage] = records(await cli(directory, ["usage", "--json"]));
  expect(usage).toMatchObject({
    customer: "acme",
    value: String(counted.reduce((sum, tokens) => sum + BigInt(tokens), 0n)),
    events: counted.length,
  });
  expect(records(await cli(directory, ["verify", "--json"]))[0]).toMatchObject({ ok: true });
  expect(records(await cli(directory, ["status", "--json"]))[0]).toMatchObject({ backlog: 0 });
}, 120_000);
