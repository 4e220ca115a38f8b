import { once } from "node:events";
import { spawn } from "node:child_process";
import { createServer } from "node:net";
import { existsSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";

import { expect, it, onTestFinished } from "vitest";

import { cli, records, workspace } from "./cli.ts";
import { cloudEvent, send, served } from "./served.ts";

const SLOW = 120_000;
const MAIN = resolve(import.meta.dirname, "../../dist/cli/main.js");
const YAML = `version: 1
storage: { path: ./meter.db }
meters:
  runs: { eventType: agent_run, aggregate: count }
`;

it(
  "A full disk: every call is refused with 503 or kept, readiness says so, and what was answered is there after",
  async () => {
    const directory = workspace(YAML);
    // In blocks of 512 bytes, of each file.
    const { url, seen, stop } = await served(directory, [], {}, "ulimit -f 2000");
    expect((await fetch(`${url}/readyz`)).status).toBe(200);
    const answered: string[] = [];
    const others = new Set<number | null>();
    let refusals = 0;
    for (let at = 0; refusals < 10 && at < 1_000; at++) {
      const id = `${at}`;
      const status = await send(url, [cloudEvent(id, { text: "x".repeat(50_000) })]);
      if (status === 200) answered.push(id);
      else others.add(status);
      refusals = status === 503 ? refusals + 1 : 0;
    }
    expect([[...others], refusals, answered.length > 5]).toEqual([[503], 10, true]);
    await expect.poll(async () => (await fetch(`${url}/readyz`)).status, { timeout: 30_000 }).toBe(503);
    expect((await fetch(`${url}/healthz`)).status).toBe(200);
    const refused = await fetch(`${url}/v1/usage`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ tenant_id: "t", meter_id: "m", total_usage: 1, metadata: { a: "x".repeat(4_000) } }),
    });
    expect([refused.status, refused.headers.get("retry-after"), refused.headers.get("content-type")]).toEqual([
      503,
      "1",
      "application/problem+json",
    ]);
    const told = await refused.text();
    expect(told).not.toContain("meter.db");
    expect(JSON.parse(told)).toMatchObject({ code: "METER_SERVER_BUSY" });
    await seen(/The service is not ready/);
    await stop("SIGKILL");
    const stored = records(await cli(directory, ["events", "--json", "--limit", "10000"]));
    const ids = new Set(stored.map(({ id }) => id));
    expect(answered.filter((id) => !ids.has(id))).toEqual([]);
  },
  SLOW,
);

it.skipIf(!existsSync("/dev/full"))(
  "A log that cannot be written ends neither the service nor an app",
  async () => {
    const directory = workspace(YAML);
    const port = await freePort();
    const service = spawn(
      "sh",
      ["-c", 'exec "$0" "$@" > /dev/full 2>&1', process.execPath, MAIN, "serve", "--port", `${port}`],
      {
        cwd: directory,
        stdio: "ignore",
      },
    );
    onTestFinished(() => void service.kill("SIGKILL"));
    await expect.poll(() => send(`http://127.0.0.1:${port}`, [cloudEvent("1")]), { timeout: 60_000 }).toBe(200);
    expect(await send(`http://127.0.0.1:${port}`, [cloudEvent("2")])).toBe(200);
    const ended = once(service, "close");
    service.kill("SIGTERM");
    expect(await ended).toEqual([143, null]);

    const app = join(directory, "app.mjs");
    const system = resolve(import.meta.dirname, "../../dist/runtime/system.js");
    writeFileSync(
      app,
      `import { stderrLogger } from ${JSON.stringify(system)};\nfor (let at = 0; at < 3; at++) stderrLogger(false).error({}, "x");\nsetTimeout(() => process.exit(7), 10);\n`,
    );
    const other = spawn("sh", ["-c", 'exec "$0" "$@" 2> /dev/full', process.execPath, app], { stdio: "ignore" });
    expect(await once(other, "close")).toEqual([7, null]);
  },
  SLOW,
);

/** A port that nobody has: what cannot be said in a log must be known before. */
async function freePort(): Promise<number> {
  const holder = createServer().listen(0, "127.0.0.1");
  await once(holder, "listening");
  const address = holder.address();
  holder.close();
  await once(holder, "close");
  if (typeof address !== "object" || address === null) throw new Error("no port");
  return address.port;
}
