import { onTestFinished } from "vitest";

import type { Settings } from "../../src/config/settings.ts";
import { loadConfig } from "../../src/runtime/load-config.ts";
import type { Notice } from "../../src/runtime/notice.ts";
import { remoteBackend, type RemoteBackend } from "../../src/runtime/remote-backend.ts";
import { systemClock } from "../../src/runtime/system.ts";
import { startWorker, type WorkerLink } from "../../src/runtime/worker-link.ts";
import { CHAT_YAML, workspace } from "../cli/cli.ts";

export interface Threads {
  readonly settings: Settings;
  readonly directory: string;
  readonly link: WorkerLink;
  readonly remote: RemoteBackend;
  readonly notices: Notice[];
}

/** A configuration in a folder of its own. */
export function settingsIn(directory: string): Settings {
  return loadConfig({ config: "meterbook.yaml", directory, env: { STRIPE_API_KEY: "sk_test_threads" } }).settings;
}

/** The service's two threads, real ones, over a database in a folder of their own. Needs `dist`. */
export function threads(yaml = CHAT_YAML, directory = workspace(yaml)): Threads {
  const settings = settingsIn(directory);
  const notices: Notice[] = [];
  const onNotice = (notice: Notice): void => void notices.push(notice);
  const link = startWorker({
    order: { settings, ownWriter: null, reports: false, adoptFrom: systemClock.now() },
    onNotice,
    onTaken: () => undefined,
    onRestart: () => undefined,
  });
  const remote = remoteBackend({ settings, link, onNotice });
  onTestFinished(async () => {
    await remote.close();
    await link.close(20_000);
  });
  return { settings, directory, link, remote, notices };
}
