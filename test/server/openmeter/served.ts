import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { onTestFinished } from "vitest";

import { readConfigObject } from "../../../src/config/index.ts";
import { METER_TEMPLATES } from "../../../src/engine/meters/templates.ts";
import { writerHost } from "../../../src/runtime/host.ts";
import { localBackend } from "../../../src/runtime/local-backend.ts";
import { openNode } from "../../../src/runtime/node.ts";
import { openmeterRoutes } from "../../../src/server/openmeter/openmeter-routes.ts";
import { manualClock } from "../../../src/testing/manual-clock.ts";
import { START } from "../../engine/world.ts";
import { startServer, type Served } from "../rig.ts";

/** An answer as a plain caller sees it. */
interface PlainAnswer {
  readonly status: number;
  readonly type: string | null;
  readonly headers: Headers;
  readonly text: string;
  /** Null where the answer is no JSON. */
  readonly json: unknown;
}

interface PlainCall {
  readonly body?: unknown;
  /** The body as it is, instead of one that is written as JSON. */
  readonly text?: string;
  readonly headers?: Record<string, string>;
}

/** The whole service over a node with a database of its own, and a plain caller. */
export interface ServedOpenmeter extends Served {
  readonly call: (method: string, path: string, sent?: PlainCall) => Promise<PlainAnswer>;
}

/** Starts the service for a test of OpenMeter's wire; it is gone after the test. */
export async function serveOpenmeter(): Promise<ServedOpenmeter> {
  const directory = mkdtempSync(join(tmpdir(), "meterbook-openmeter-"));
  const reading = readConfigObject({ version: 1, meters: {} }, { file: null, env: {}, directory });
  if (!reading.ok) throw new Error(JSON.stringify(reading.problems));
  const clock = manualClock(START);
  const { settings } = reading;
  const node = await openNode({ settings, clock, ownWriter: null, adoptFrom: START, onNotice: () => undefined });
  onTestFinished(async () => {
    await node.close();
    rmSync(directory, { recursive: true, force: true });
  });
  const backend = localBackend(writerHost(node, { clock }));
  const served = await startServer({ clock, backend, templates: METER_TEMPLATES, routes: openmeterRoutes });
  return { ...served, call: (method, path, sent = {}) => plainCall(served.url + path, method, sent) };
}

async function plainCall(url: string, method: string, { body, text, headers }: PlainCall): Promise<PlainAnswer> {
  const sent = text ?? (body === undefined ? null : JSON.stringify(body));
  const type = sent === null ? {} : { "content-type": "application/json" };
  const response = await fetch(url, { method, headers: { ...type, ...headers }, body: sent });
  const received = await response.text();
  const answered = response.headers.get("content-type");
  const json: unknown = answered?.endsWith("json") === true ? JSON.parse(received) : null;
  return { status: response.status, type: answered, headers: response.headers, text: received, json };
}
