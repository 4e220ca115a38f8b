import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { onTestFinished } from "vitest";

import { readConfigObject, type Settings } from "../../src/config/index.ts";
import type { Clock } from "../../src/engine/ports.ts";
import { writerHost } from "../../src/runtime/host.ts";
import { localBackend } from "../../src/runtime/local-backend.ts";
import { openNode, type MeterNode } from "../../src/runtime/node.ts";
import type { Backend } from "../../src/server/backend.ts";

export interface HostedOptions {
  readonly clock: Clock;
  /** The `server` section. */
  readonly server?: object;
  readonly meters?: object;
}

/** The real backend on this thread, over a SQLite file of its own that is gone after the test. */
export async function hostedBackend(options: HostedOptions): Promise<Backend> {
  return (await hosted(options)).backend;
}

/** The same, with the node that it stands on. */
export async function hosted({
  clock,
  server = {},
  meters = {},
}: HostedOptions): Promise<{ readonly backend: Backend; readonly node: MeterNode }> {
  const directory = mkdtempSync(join(tmpdir(), "meterbook-server-"));
  const settings = settingsIn(directory, { version: 1, storage: { path: "meter.db" }, meters, server });
  const node = await openNode({
    settings,
    clock,
    ownWriter: null,
    adoptFrom: clock.now(),
    onNotice: () => undefined,
  });
  onTestFinished(async () => {
    await node.close();
    rmSync(directory, { recursive: true });
  });
  return { backend: localBackend(writerHost(node, { clock })), node };
}

function settingsIn(directory: string, value: object): Settings {
  const reading = readConfigObject(value, { file: null, env: {}, directory });
  if (!reading.ok) throw new Error(JSON.stringify(reading.problems));
  return reading.settings;
}
