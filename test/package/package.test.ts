import { execFile } from "node:child_process";
import { once } from "node:events";
import { createServer } from "node:http";
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { promisify } from "node:util";

import { afterAll, beforeAll, describe, expect, it } from "vitest";

const run = promisify(execFile);
const root = resolve(import.meta.dirname, "../..");
let app = "";
let contents: string[] = [];

/** The tarball as a user's app has it: unpacked in node_modules, with the dependencies that this checkout installed. */
beforeAll(async () => {
  app = mkdtempSync(join(tmpdir(), "meterbook-package-"));
  const { stdout } = await run("npm", ["pack", "--json", "--ignore-scripts", "--pack-destination", app], { cwd: root });
  const packed = (JSON.parse(stdout) as { filename: string; files: { path: string }[] }[])[0];
  contents = packed?.files.map((file) => file.path) ?? [];
  mkdirSync(join(app, "node_modules/meterbook"), { recursive: true });
  await run("tar", [
    "-xzf",
    join(app, String(packed?.filename)),
    "--strip-components=1",
    "-C",
    join(app, "node_modules/meterbook"),
  ]);
  const { dependencies } = (await import(join(root, "package.json"), { with: { type: "json" } })) as {
    dependencies: Record<string, string>;
  };
  // Dependencies of dependencies resolve from the real folders behind the links.
  for (const name of [...Object.keys(dependencies), "@types/node", "typescript"]) {
    const target = join(app, "node_modules", name);
    mkdirSync(resolve(target, ".."), { recursive: true });
    symlinkSync(join(root, "node_modules", name), target, "dir");
  }
  writeFileSync(join(app, "meterbook.yaml"), "version: 1\nmeters:\n  calls: { aggregate: count }\n");
}, 120_000);

afterAll(() => rmSync(app, { recursive: true, force: true }));

const script = (text: string): string => `${text}
  const metering = meter({ identifyCompany: () => "acme" });
  const server = http.createServer((request, response) => { metering(request, response); response.end("ok"); });
  server.listen(0, "127.0.0.1", () => void fetch("http://127.0.0.1:" + server.address().port + "/x").then((answer) => answer.text()).then(() => metering.close()).then(() => server.close()));`;

describe("the packed tarball", () => {
  it.each([
    ["ESM import", "app.mjs", 'import http from "node:http"; import { meter } from "meterbook";'],
    ["CommonJS require()", "app.cjs", 'const http = require("node:http"); const { meter } = require("meterbook");'],
  ])("meters from %s, and its command counts", async (_form, name, head) => {
    rmSync(join(app, "data"), { recursive: true, force: true });
    writeFileSync(join(app, name), script(head));
    const { stderr } = await run(process.execPath, [name], { cwd: app });
    expect(stderr).not.toMatch(/error/i);
    const { stdout } = await run(
      process.execPath,
      [join(app, "node_modules/meterbook/dist/cli/main.js"), "usage", "--json"],
      { cwd: app },
    );
    expect(JSON.parse(stdout)).toMatchObject({ meter: "calls", customer: "acme", value: "1" });
  });

  it.each([
    [
      "ESM import",
      "sender.mjs",
      'import { Meterbook } from "meterbook/client"; import { diskJournal } from "meterbook/client/node";',
    ],
    [
      "CommonJS require()",
      "sender.cjs",
      'const { Meterbook } = require("meterbook/client"); const { diskJournal } = require("meterbook/client/node");',
    ],
  ])("sends from %s, at once and from a journal", async (_form, name, head) => {
    const calls: string[] = [];
    const service = createServer((request, response) => {
      let text = "";
      request.on("data", (chunk: Buffer) => (text += chunk.toString()));
      request.on("end", () => {
        const events: { type: string }[] = JSON.parse(text);
        calls.push(...events.map(({ type }) => type));
        response.end(JSON.stringify({ results: events.map((_, index) => ({ index, status: "stored", held: [] })) }));
      });
    }).listen(0, "127.0.0.1");
    await once(service, "listening");
    const address = service.address();
    const url = `http://127.0.0.1:${typeof address === "object" ? address?.port : ""}`;
    writeFileSync(
      join(app, name),
      `${head}
const url = ${JSON.stringify(url)};
async function main() {
  const direct = new Meterbook({ url });
  const told = (await direct.track({ type: "direct", subject: "acme" })).status;
  await direct.close();
  const kept = new Meterbook({ url, journal: diskJournal({ directory: "journal-${name}" }) });
  console.log(told, (await kept.track({ type: "kept", subject: "acme" })).status, await kept.close());
}
void main();
`,
    );
    const { stdout } = await run(process.execPath, [name], { cwd: app });
    service.close();
    expect([stdout.trim(), calls]).toEqual(["stored kept true", ["direct", "kept"]]);
  });

  it("has what it promises and nothing else", () => {
    for (const path of [
      "dist/index.js",
      "dist/index.d.ts",
      "dist/runtime/worker.js",
      "dist/runtime/reader.js",
      "dist/client/index.js",
      "dist/client/index.d.ts",
      "dist/client/node/index.js",
      "examples/meter-lib-move/meters.yaml",
      "dist/cli/main.js",
      "src/index.ts",
      "src/core/ERRORS.md",
      "schema.json",
      "README.md",
      "LICENSE",
      "CHANGELOG.md",
      "examples/chat-api/chat-app.js",
    ]) {
      expect(contents).toContain(path);
    }
    expect(contents.filter((path) => /^(test|node_modules|\.)|\.db|\.tgz$/.test(path))).toEqual([]);
  });

  it("runs the demo from the installed package", async () => {
    const { stdout } = await run(
      process.execPath,
      [join(app, "node_modules/meterbook/dist/cli/main.js"), "demo", "--once", "--port", "0"],
      { cwd: app },
    );
    expect(stdout).toContain("✓ Stripe's ledger equals ours");
  });

  it("type-checks in a consumer, ESM and CommonJS", async () => {
    writeFileSync(
      join(app, "consumer.mts"),
      `import { createServer, meter, MeterbookError, type ErrorCode, type UsageEvent } from "meterbook";
import { defineConfig } from "meterbook/config";
import { startLocalStripe } from "meterbook/testing";
const config = defineConfig({ version: 1, meters: { tokens: { aggregate: "sum", value: "response.headers.X-Tokens-Used" } } });
const metering = meter({ config, identifyCompany: (request) => request.headers.host, onEvent: (event: UsageEvent) => void event.id });
export const id: string = metering.track("done", { companyId: "acme" });
export const code: ErrorCode = new MeterbookError("METER_CONFIG_INVALID", "x").code;
export { createServer, startLocalStripe };
import { Meterbook, RejectedError, type MeterbookOptions, type TrackResult } from "meterbook/client";
import { diskJournal } from "meterbook/client/node";
const options: MeterbookOptions = { url: "http://127.0.0.1:8888", journal: diskJournal({ directory: "journal" }) };
export const sent: Promise<TrackResult> = new Meterbook(options).postMeterUsage({ tenantId: "t", meterId: "m", totalUsage: 1n });
export const pointers = (error: RejectedError): readonly string[] => error.problems.map(({ pointer }) => pointer);
`,
    );
    writeFileSync(
      join(app, "consumer.cts"),
      'import { meter } from "meterbook";\nimport { Meterbook } from "meterbook/client";\nexport const metering = meter();\nexport const sender = new Meterbook({ url: "http://127.0.0.1:8888" });\n',
    );
    const tsc = join(root, "node_modules/typescript/bin/tsc");
    const { stdout } = await run(
      process.execPath,
      [
        tsc,
        "--noEmit",
        "--strict",
        "--module",
        "nodenext",
        "--target",
        "es2022",
        "--types",
        "node",
        "--skipLibCheck",
        "consumer.mts",
        "consumer.cts",
      ],
      { cwd: app },
    ).catch((error: { stdout: string }) => error);
    expect(stdout).toBe("");
  }, 60_000);
});
