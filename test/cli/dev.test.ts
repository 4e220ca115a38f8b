import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";

import { expect, it, onTestFinished } from "vitest";

import { CHAT_YAML, workspace } from "./cli.ts";

const MAIN = resolve(import.meta.dirname, "../../dist/cli/main.js");
const DIST = resolve(import.meta.dirname, "../../dist/index.js");

const APP = `
import { createServer } from "node:http";
import { meter } from ${JSON.stringify(DIST)};
const metering = meter({ identifyCompany: () => "acme" });
const server = createServer((request, response) => {
  metering(request, response);
  if (request.url === "/stop") { response.end(); server.close(); server.closeAllConnections(); void metering.close().then(() => process.exit(7)); return; }
  response.setHeader("X-Tokens-Used", "12");
  response.end("ok");
});
server.listen(0, "127.0.0.1", () => console.log("listening " + server.address().port));
process.on("SIGTERM", () => process.exit(0));
`;

it("dev runs the app, says what is counted, keeps the last good configuration, restarts on a good one, passes the exit code on", async () => {
  const directory = workspace(CHAT_YAML);
  writeFileSync(join(directory, "app.mjs"), APP);
  const dev = spawn(process.execPath, [MAIN, "dev", "--", process.execPath, "app.mjs"], {
    cwd: directory,
    // A CI's variables must not bring colours into a pipe.
    env: { ...process.env, CI: "true" },
    stdio: ["ignore", "pipe", "pipe"],
  });
  onTestFinished(() => void dev.kill("SIGKILL"));
  let text = "";
  const listeners = new Set<() => void>();
  for (const stream of [dev.stdout, dev.stderr]) {
    stream.on("data", (chunk: Buffer) => {
      text += chunk.toString();
      for (const listener of listeners) listener();
    });
  }
  const seen = (pattern: RegExp): Promise<RegExpExecArray> =>
    new Promise((done) => {
      const look = (): void => {
        const found = pattern.exec(text);
        if (found === null) return;
        listeners.delete(look);
        text = text.slice(found.index + found[0].length);
        done(found);
      };
      listeners.add(look);
      look();
    });

  const [, first] = await seen(/listening (\d+)/);
  await (await fetch(`http://127.0.0.1:${first}/chat`)).text();
  await seen(/GET \/chat 200\s+acme\s+chat_tokens \+12/);

  const file = join(directory, "meterbook.yaml");
  const good = readFileSync(file, "utf8");
  writeFileSync(file, good.replace("aggregate: sum", "aggregate: summ"));
  await seen(/Did you mean "sum"\?[\s\S]*last good configuration stays in force/);
  await (await fetch(`http://127.0.0.1:${first}/chat`)).text();
  await seen(/chat_tokens \+12/);

  writeFileSync(file, good.replace("response.status: 200", "response.status: 201"));
  const [, second] = await seen(/saved: restarting[\s\S]*listening (\d+)/);
  await (await fetch(`http://127.0.0.1:${second}/chat`)).text();
  await seen(/chat_tokens not counted: response\.status is 200, wants 201/);

  await fetch(`http://127.0.0.1:${second}/stop`).catch(() => undefined);
  const [code] = (await once(dev, "exit")) as [number | null];
  expect(code).toBe(7);
});
