import { createServer, type RequestListener } from "node:http";

import express from "express";
import { meter, type Meter } from "meterbook";
import { describe, expect, it, onTestFinished } from "vitest";

import { cloudEvent, send } from "../cli/served.ts";
import { workspace } from "../cli/cli.ts";

const SLOW = 60_000;

function metered(notices: string[] = []): Meter {
  const tell = (_facts: object, text: string): void => void notices.push(text);
  const made = meter({
    config: {
      version: 1,
      storage: { path: `${workspace(null)}/meter.db` },
      meters: {
        runs: { eventType: "agent_run", aggregate: "count" },
        requests: { eventType: "http.request", aggregate: "count" },
      },
    },
    logger: { debug: () => undefined, info: tell, warn: tell, error: tell },
    identifyCompany: () => "acme",
  });
  onTestFinished(() => made.close());
  return made;
}

async function listening(listener: RequestListener): Promise<string> {
  const server = createServer(listener);
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  return `http://127.0.0.1:${typeof address === "object" && address !== null ? address.port : 0}`;
}

async function countOf(url: string, name: string): Promise<unknown> {
  const answer = await fetch(`${url}/v1/meters/${name}/query`);
  return answer.json();
}

describe("meter.router()", () => {
  it(
    "serves the HTTP API within an Express app, over the app's own database, and meters none of its calls",
    async () => {
      const metering = metered();
      const app = express();
      app.use(metering);
      app.use("/meterbook", metering.router({ openOnLoopback: true }));
      app.get("/work", (_request, response) => void response.send("done"));
      const url = await listening((request, response) => void app(request, response));
      expect(await send(`${url}/meterbook`, [cloudEvent("1"), cloudEvent("2")])).toBe(200);
      await (await fetch(`${url}/work`)).text();
      await metering.flush();
      expect(await countOf(`${url}/meterbook`, "runs")).toMatchObject({ data: [{ value: "2" }] });
      expect(await countOf(`${url}/meterbook`, "requests")).toMatchObject({ data: [{ value: "1" }] });
    },
    SLOW,
  );

  it(
    "serves below a base path in plain node:http, and refuses calls after close()",
    async () => {
      const metering = metered();
      const router = metering.router({ basePath: "/meterbook", openOnLoopback: true });
      const url = await listening((request, response) => router(request, response));
      expect(await send(`${url}/meterbook`, [cloudEvent("1")])).toBe(200);
      expect((await fetch(`${url}/elsewhere`)).status).toBe(404);
      await metering.close();
      expect(await send(`${url}/meterbook`, [cloudEvent("2")])).toBe(503);
    },
    SLOW,
  );

  it(
    "needs a key of everybody unless it is asked to be open, since a proxy makes everybody a program of this machine",
    async () => {
      const metering = metered();
      const router = metering.router();
      const url = await listening((request, response) => router(request, response));
      expect(await send(url, [cloudEvent("1")])).toBe(401);
      expect((await fetch(`${url}/healthz`)).status).toBe(200);
    },
    SLOW,
  );

  it(
    "says that metering is off where it is",
    async () => {
      const router = meter({ enabled: false }).router();
      const url = await listening((request, response) => router(request, response));
      expect(await send(url, [cloudEvent("1")])).toBe(503);
    },
    SLOW,
  );
});
