import { mkdtempSync, rmSync } from "node:fs";
import type { RequestListener, Server } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

import { MeterbookError, sentenceOf } from "../../core/errors.ts";
import type { Clock } from "../../engine/ports.ts";
import { createServer } from "../../express/index.ts";
import type { Meter } from "../../runtime/meter.ts";
import { startLocalStripe, type LocalStripe } from "../../testing/index.ts";

/** Companies of the demo. `initech` has no customer at Stripe, so its usage is held there. */
export const DEMO_COMPANIES = {
  "acme-inc": { key: "key_acme", customer: "cus_demo1" },
  globex: { key: "key_globex", customer: "cus_demo2" },
  initech: { key: "key_initech", customer: null },
} as const;

/** The meters of the example, as its file names them. */
const DEMO_METERS = ["chat_tokens", "chat_stream_tokens"];

/** The demo's subscriptions run since yesterday, so that they bill all of its usage. */
const DAY_S = 86_400;

/** The example's own API with everything it needs, in a temporary folder and on loopback alone. */
export interface DemoWorld {
  readonly folder: string;
  readonly configFile: string;
  readonly apiUrl: string;
  readonly metering: Meter;
  readonly stripe: LocalStripe;
  close(): Promise<void>;
}

interface ChatExample {
  createChatApp(options: { openaiUrl: string; config: string; meterOptions: object }): {
    app: RequestListener;
    metering: Meter;
  };
  createOpenAiStandIn(): Server;
}

/** Starts the local Stripe, the stand-in for the model, and `examples/chat-api` unchanged. */
export async function startDemoWorld(options: {
  readonly clock: Clock;
  readonly apiPort: number;
  readonly appReports: boolean;
}): Promise<DemoWorld> {
  const folder = mkdtempSync(join(tmpdir(), "meterbook-demo-"));
  const stripe = await startLocalStripe({ clock: options.clock });
  for (const name of DEMO_METERS) stripe.createMeter({ event_name: name });
  for (const [company, { customer }] of Object.entries(DEMO_COMPANIES)) {
    if (customer === null) continue;
    stripe.createCustomer({ id: customer, metadata: { company_id: company } });
    stripe.createSubscription({
      customer,
      meters: DEMO_METERS,
      anchor: Math.floor(options.clock.now() / 1_000) - DAY_S,
    });
  }
  // The example's file names these variables, as a real deployment would.
  Object.assign(process.env, {
    STRIPE_API_KEY: "sk_test_demo",
    STRIPE_API_BASE: stripe.url,
    METER_DB: join(folder, "meter.db"),
    REPORT_WINDOW: "minute",
    REPORT_EVERY: "2s",
  });
  const example = await loadExample();
  const openai = await listening(example.createOpenAiStandIn(), 0);
  const configFile = fileURLToPath(exampleFile("meterbook.yaml"));
  const { app, metering } = example.createChatApp({
    openaiUrl: openai.url,
    config: configFile,
    meterOptions: { report: options.appReports },
  });
  const api = await listening(createServer(app), options.apiPort);
  return {
    folder,
    configFile,
    apiUrl: api.url,
    metering,
    stripe,
    close: async () => {
      await api.stop();
      await openai.stop();
      await metering.close();
      await stripe.close();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

async function loadExample(): Promise<ChatExample> {
  try {
    const chat: Pick<ChatExample, "createChatApp"> = await import(exampleFile("chat-app.js"));
    const openai: Pick<ChatExample, "createOpenAiStandIn"> = await import(exampleFile("openai-stand-in.js"));
    return { ...chat, ...openai };
  } catch (cause) {
    throw new MeterbookError("METER_COMMAND_INVALID", `The demo's example cannot be loaded: ${sentenceOf(cause)}`, {
      cause,
      remedy: "Run the demo from the installed package: it contains examples/chat-api.",
    });
  }
}

function exampleFile(name: string): string {
  return new URL(`../../../examples/chat-api/${name}`, import.meta.url).href;
}

/** Listens on loopback; takes the next free port when the wished one is taken. */
async function listening(server: Server, wishedPort: number): Promise<{ url: string; stop(): Promise<void> }> {
  const attempt = (port: number): Promise<void> =>
    new Promise((resolve, reject) => {
      server.once("error", reject);
      server.listen(port, "127.0.0.1", () => {
        server.off("error", reject);
        resolve();
      });
    });
  await attempt(wishedPort).catch(() => attempt(0));
  const address = server.address();
  return {
    url: `http://127.0.0.1:${typeof address === "object" ? address?.port : ""}`,
    stop: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}
