import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { createServer } from "node:http";
import { writeFileSync } from "node:fs";
import { join, resolve } from "node:path";

import { Stripe } from "stripe";
import { expect, it, onTestFinished } from "vitest";

import { workspace } from "./cli.ts";

const COMMAND = resolve(import.meta.dirname, "../../dist/cli/commands/stripe-local.js");
/** The command by itself, as the command line adds it. */
const PROGRAM = `
import { stripeLocalCommand } from ${JSON.stringify(COMMAND)};
await stripeLocalCommand().option("--json").parseAsync(process.argv.slice(1), { from: "user" });
`;
const SEED = {
  customers: [{ id: "cus_acme", metadata: { company_id: "acme" } }],
  meters: [{ event_name: "tokens" }],
  subscriptions: [{ customer: "cus_acme", meters: ["tokens"] }],
};

interface Running {
  readonly child: ChildProcess;
  /** All output so far. */
  text(): string;
  /** Resolves with the first match in the output. */
  seen(pattern: RegExp): Promise<RegExpExecArray>;
}

function stripeLocal(directory: string, args: readonly string[]): Running {
  const child = spawn(process.execPath, ["--input-type=module", "-e", PROGRAM, "--", ...args], {
    cwd: directory,
    env: { PATH: process.env["PATH"] ?? "", HOME: directory },
    stdio: ["ignore", "pipe", "pipe"],
  });
  onTestFinished(() => void child.kill("SIGKILL"));
  let text = "";
  const listeners = new Set<() => void>();
  for (const stream of [child.stdout, child.stderr]) {
    stream.on("data", (chunk: Buffer) => {
      text += chunk.toString();
      for (const listener of listeners) listener();
    });
  }
  return {
    child,
    text: () => text,
    seen: (pattern) =>
      new Promise((done) => {
        const look = (): void => {
          const found = pattern.exec(text);
          if (found === null) return;
          listeners.delete(look);
          done(found);
        };
        listeners.add(look);
        look();
      }),
  };
}

async function stop({ child }: Running, signal: NodeJS.Signals): Promise<unknown> {
  const ended = once(child, "close");
  child.kill(signal);
  return (await ended)[0];
}

function clientAt(port: number): Stripe {
  return new Stripe("sk_test_x", { host: "127.0.0.1", port, protocol: "http", telemetry: false, maxNetworkRetries: 0 });
}

const event = { event_name: "tokens", payload: { stripe_customer_id: "cus_acme", value: "1250" } };

it("stripe-local serves the genuine client, tells each call on a line, and prints what it counted at ^C", async () => {
  const directory = workspace(null);
  writeFileSync(join(directory, "seed.json"), JSON.stringify(SEED));
  const running = stripeLocal(directory, ["--port", "0", "--seed", "seed.json"]);
  const [, port] = await running.seen(/Local Stripe {2}http:\/\/127\.0\.0\.1:(\d+)/);
  await running.seen(/apiBase: "http:\/\/127\.0\.0\.1:\d+"/);
  await running.seen(/new Stripe\("sk_test_local", \{ host: "127\.0\.0\.1", port: \d+, protocol: "http"/);
  const client = clientAt(Number(port));
  expect((await client.subscriptions.list({ customer: "cus_acme" })).data).toHaveLength(1);
  await client.billing.meterEvents.create({ ...event, identifier: "a\u001b[31m" });
  await expect(client.customers.retrieve("cus_none")).rejects.toThrow(/No such customer/);
  await running.seen(
    /^--> POST \/v1\/billing\/meter_events 200 event_name=tokens payload\[stripe_customer_id\]=cus_acme/m,
  );
  await running.seen(/^--> GET \/v1\/customers\/cus_none 404$/m);
  expect(running.text()).not.toContain("\u001b[31m");
  expect(await stop(running, "SIGINT")).toBe(130);
  expect(running.text()).toMatch(/event name {2}customer {2}events {2}counted\ntokens {6}cus_acme {7}1 {4}1,250\n$/);
});

it("stripe-local --json writes one JSON value a line, and sends webhooks by itself", async () => {
  const directory = workspace(null);
  const received = createServer((_request, response) => response.end());
  received.listen(0, "127.0.0.1");
  await once(received, "listening");
  onTestFinished(() => void received.close());
  const address = received.address();
  const url = `http://127.0.0.1:${String(typeof address === "object" ? address?.port : 0)}/`;
  writeFileSync(
    join(directory, "seed.json"),
    JSON.stringify({ ...SEED, webhooks: [{ url, events: ["customer.updated"] }] }),
  );
  const running = stripeLocal(directory, ["--port", "0", "--seed", "seed.json", "--json"]);
  const [, port] = await running.seen(/"port":(\d+)/);
  const client = clientAt(Number(port));
  await client.billing.meterEvents.create(event);
  await client.customers.update("cus_acme", { name: "Acme" });
  await running.seen(/"kind":"delivery"/);
  expect(await stop(running, "SIGTERM")).toBe(143);
  const records = running
    .text()
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line) as Record<string, unknown>);
  expect(records.map(({ kind }) => kind)).toEqual(["listening", "call", "call", "delivery", "ledger"]);
  expect(records[0]).toMatchObject({ seeded: { webhooks: [{ secret: expect.stringMatching(/^whsec_/) }] } });
  expect(records[3]).toMatchObject({ type: "customer.updated", url, status: 200 });
  expect(records[4]).toMatchObject({ entries: [{ eventName: "tokens", customer: "cus_acme", value: "1250" }] });
});

it("stripe-local --quiet --sandbox tells no call and keeps a sandbox's limit", async () => {
  const running = stripeLocal(workspace(null), ["--port", "0", "--quiet", "--sandbox"]);
  const [, port] = await running.seen(/Ledger {8}http:\/\/127\.0\.0\.1:(\d+)\/_local\/ledger/);
  const client = clientAt(Number(port));
  const outcomes = await Promise.allSettled(Array.from({ length: 300 }, async () => client.customers.list()));
  expect(outcomes.filter(({ status }) => status === "rejected").length).toBeGreaterThan(0);
  expect(await stop(running, "SIGINT")).toBe(130);
  expect(running.text()).not.toContain("-->");
  expect(running.text()).toMatch(/Nothing was counted\.\n$/);
});

it("stripe-local says what is wrong with its port or its seed", async () => {
  const directory = workspace(null);
  writeFileSync(join(directory, "broken.json"), "{");
  writeFileSync(join(directory, "wrong.json"), '{"meters":[{"name":"tokens"}]}');
  const first = stripeLocal(directory, ["--port", "0"]);
  const [, port = ""] = await first.seen(/Local Stripe {2}http:\/\/127\.0\.0\.1:(\d+)/);
  const reasons: string[] = [];
  for (const args of [
    ["--port", port],
    ["--port", "70000"],
    ["--seed", "none.json"],
    ["--seed", "broken.json"],
    ["--port", "0", "--seed", "wrong.json"],
  ]) {
    const running = stripeLocal(directory, args);
    const [code] = await once(running.child, "close");
    expect(code).toBe(1);
    reasons.push(/MeterbookError: (.*)/.exec(running.text())?.[1] ?? running.text());
  }
  expect(reasons).toEqual([
    `Port ${port} is taken.`,
    '--port is "70000"',
    expect.stringContaining("The seed none.json cannot be read"),
    expect.stringContaining("The seed broken.json cannot be read"),
    "meters[0] needs event_name.",
  ]);
});
