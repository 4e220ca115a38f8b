import { once } from "node:events";
import { writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";

import { describe, expect, it, onTestFinished } from "vitest";

import { openNode } from "../../src/runtime/node.ts";
import { systemClock } from "../../src/runtime/system.ts";
import { settingsIn } from "../runtime/served-threads.ts";
import { cli, records, workspace } from "./cli.ts";
import { cloudEvent, send, served } from "./served.ts";

const SLOW = 120_000;
const YAML = `version: 1
storage: { path: ./meter.db }
meters:
  runs: { eventType: agent_run, aggregate: count, groupBy: { agent: data.agent_name } }
`;

/** Names of all stored events of a folder's database. */
async function storedIds(directory: string): Promise<ReadonlySet<string>> {
  const settings = settingsIn(directory);
  const node = await openNode({
    settings,
    clock: systemClock,
    ownWriter: null,
    adoptFrom: null,
    onNotice: () => undefined,
  });
  onTestFinished(() => node.close());
  const ids = new Set<string>();
  for (let afterSeq = 0; ;) {
    const page = await node.store.events({ order: "oldest", afterSeq, limit: 1_000 });
    for (const { event } of page) ids.add(event.id);
    afterSeq = page.at(-1)?.seq ?? afterSeq;
    if (page.length < 1_000) return ids;
  }
}

/** Senders that go on until the service is gone; answers which events got a 2xx. `atWork` resolves when many did. */
function load(url: string): { readonly atWork: Promise<void>; readonly done: Promise<readonly string[]> } {
  const answered: string[] = [];
  const begun = new AbortController();
  const atWork = once(begun.signal, "abort").then(() => undefined);
  const sender = async (name: number): Promise<void> => {
    for (let call = 0; ; call += 1) {
      const ids = Array.from({ length: 20 }, (_, at) => `${name}-${call}-${at}`);
      const status = await send(
        url,
        ids.map((id) => cloudEvent(id)),
      );
      if (status === null || status === 503) return;
      if (status >= 200 && status < 300) answered.push(...ids);
      if (answered.length > 2_000) begun.abort();
    }
  };
  const done = Promise.all(Array.from({ length: 8 }, (_, name) => sender(name))).then(() => answered);
  return { atWork, done };
}

describe("meterbook serve", () => {
  it(
    "stops at SIGTERM under load with 143, answers what is under way, and has stored every event that got a 2xx",
    async () => {
      const directory = workspace(YAML);
      const { url, stop, text } = await served(directory);
      const { atWork, done } = load(url);
      await atWork;
      expect(await stop("SIGTERM")).toEqual({ code: 143, signal: null });
      const answered = await done;
      const stored = await storedIds(directory);
      expect(answered.filter((id) => !stored.has(id))).toEqual([]);
      expect(text()).toContain("everything that was answered is stored");
      for (const line of text().trimEnd().split("\n")) expect(() => JSON.parse(line) as unknown).not.toThrow();
      expect((await cli(directory, ["verify"])).code).toBe(0);
    },
    SLOW,
  );

  it(
    "killed under load has stored every event that got a 2xx",
    async () => {
      const directory = workspace(YAML);
      const { url, stop } = await served(directory);
      const { atWork, done } = load(url);
      await atWork;
      expect((await stop("SIGKILL")).signal).toBe("SIGKILL");
      const answered = await done;
      const stored = await storedIds(directory);
      expect(answered.length).toBeGreaterThan(2_000);
      expect(answered.filter((id) => !stored.has(id))).toEqual([]);
    },
    SLOW,
  );

  it(
    "reads what it has just answered, serves OpenMeter's interface beside its own, and counts itself where asked to",
    async () => {
      const { url } = await served(workspace(`${YAML}server: { metrics: true }\n`));
      expect(await send(url, [cloudEvent("1", { agent_name: "a" }), cloudEvent("2", { agent_name: "b" })])).toBe(200);
      const usage = await (await fetch(`${url}/api/v1/meters/runs/query?groupBy=agent`)).json();
      expect(usage).toMatchObject({ data: [{ value: 1 }, { value: 1 }] });
      const metrics = await (await fetch(`${url}/metrics`)).text();
      expect(metrics).toContain('meterbook_ingest_events_total{status="stored"} 2');
      expect(metrics).toContain("meterbook_stored_events 2");
      expect(await (await fetch(`${url}/readyz`)).json()).toEqual({ ready: true });
    },
    SLOW,
  );

  it(
    "adopts an edited configuration at SIGHUP without losing a call, and keeps the last good one when an edit is broken",
    async () => {
      const directory = workspace(YAML);
      const { url, child, seen, stop } = await served(directory);
      const file = join(directory, "meterbook.yaml");
      writeFileSync(file, YAML.replace("aggregate: count", "aggregate: cuont"));
      child.kill("SIGHUP");
      await seen(/The last good configuration stays in force.*meterbook\.yaml:4/);
      expect(await send(url, [cloudEvent("1")])).toBe(200);
      const { atWork, done } = load(url);
      writeFileSync(file, `${YAML}  more: { eventType: agent_run, aggregate: count }\nserver: { basePath: /x }\n`);
      child.kill("SIGHUP");
      await seen(/Edits of server take effect when the service is started again/);
      await atWork;
      const meters = await (await fetch(`${url}/v1/meters`)).json();
      expect(JSON.stringify(meters)).toContain('"more"');
      await stop("SIGTERM");
      const answered = await done;
      const stored = await storedIds(directory);
      expect(answered.filter((id) => !stored.has(id))).toEqual([]);
    },
    SLOW,
  );

  it(
    "adopts a saved configuration at once with --watch",
    async () => {
      const directory = workspace(YAML);
      const { url, seen } = await served(directory, ["--watch"]);
      writeFileSync(join(directory, "meterbook.yaml"), `${YAML}  more: { eventType: agent_run, aggregate: count }\n`);
      await seen(/The edited configuration is in force/);
      expect(JSON.stringify(await (await fetch(`${url}/v1/meters`)).json())).toContain('"more"');
    },
    SLOW,
  );

  it(
    "says which port is taken, and does not listen to others without a key",
    async () => {
      const directory = workspace(YAML);
      const other = createServer();
      await new Promise<void>((resolve) => other.listen(0, "127.0.0.1", resolve));
      onTestFinished(() => void other.close());
      const address = other.address();
      const port = typeof address === "object" && address !== null ? address.port : 0;
      const taken = await cli(directory, ["serve", "--port", String(port), "--json"]);
      expect(taken.code).toBe(1);
      expect(taken.stderr).toContain(`127.0.0.1:${port} is taken by another program`);
      const open = await cli(directory, ["serve", "--host", "0.0.0.0", "--port", "0", "--json"]);
      expect(open.code).toBe(1);
      expect(open.stderr).toContain("METER_SERVER_UNSAFE");
      for (const { stdout, stderr } of [taken, open]) expect(`${stdout}${stderr}`).not.toContain("Stopped");
      const [, command = ""] = /meterbook (keys create[^;"]+)/.exec(open.stderr) ?? [];
      expect((await cli(directory, command.split(" "))).code).toBe(0);
    },
    SLOW,
  );

  it(
    "says how many meters there are, those made over the API too",
    async () => {
      const directory = workspace(YAML);
      const { url, stop, text } = await served(directory);
      expect(text()).toContain('"meters":1');
      const made = await fetch(`${url}/v1/meters`, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify({ key: "more", eventType: "agent_run", aggregate: "count" }),
      });
      expect([made.status, await made.text()]).toMatchObject([201, expect.any(String)]);
      await stop("SIGTERM");
      expect((await served(directory)).text()).toContain('"meters":2');
    },
    SLOW,
  );

  it(
    "needs a key once there is one, shows it once, and refuses it when it is revoked",
    async () => {
      const directory = workspace(YAML);
      const made = await cli(directory, [
        "keys",
        "create",
        "--name",
        "gateway",
        "--scope",
        "ingest",
        "--by",
        "ada",
        "--json",
      ]);
      expect(made.code).toBe(0);
      const [{ id, key } = {}] = records(made);
      const { url } = await served(directory, ["--host", "127.0.0.1"]);
      const authorization = { authorization: `Bearer ${String(key)}` };
      expect(await send(url, [cloudEvent("1")])).toBe(401);
      expect(await send(url, [cloudEvent("1")], authorization)).toBe(200);
      expect((await fetch(`${url}/v1/meters`, { headers: authorization })).status).toBe(403);
      const listed = await cli(directory, ["keys", "list", "--json"]);
      expect(records(listed)).toMatchObject([{ id, name: "gateway", scopes: ["ingest"], revokedAt: null }]);
      expect(listed.stdout).not.toContain(String(key));
      expect((await cli(directory, ["keys", "revoke", String(id), "--by", "ada"])).stdout).toContain("is revoked");
      const refused = async (): Promise<void> => {
        while ((await send(url, [cloudEvent("2")], authorization)) !== 401) await new Promise(setImmediate);
      };
      await refused();
      expect(records(await cli(directory, ["keys", "list", "--json"]))).toEqual([]);
      expect(records(await cli(directory, ["keys", "list", "--all", "--json"]))).toHaveLength(1);
    },
    SLOW,
  );
});
