import { spawn, type ChildProcess } from "node:child_process";
import { basename } from "node:path";

import { Command } from "commander";
import { paint } from "../paint.ts";

import { ConfigError, findConfig, loadConfig } from "../../runtime/load-config.ts";
import { systemClock } from "../../runtime/system.ts";
import type { MeterNode } from "../../runtime/node.ts";
import { watchFile } from "../config-watch.ts";
import { liveLog, type LogPlace } from "../live.ts";
import type { Output } from "../output.ts";
import { withNode, type CommonOptions } from "../session.ts";
import { exitOf, takeStopSignals } from "../stop-signals.ts";

const POLL_MS = 200;
/** An app that does not end on SIGTERM within this is killed for a restart; its journal keeps what it answered. */
const STOP_MS = 5_000;

/** `meterbook dev -- <cmd>`: runs the app with a live log of what is counted; restarts it when the configuration is saved. */
export function devCommand(): Command {
  return new Command("dev")
    .description("Run your app with a live log of what is counted and why; a saved configuration restarts it")
    .argument("<command...>", "the app's own start command, after --")
    .addHelpText(
      "after",
      "\nEnds with the app's own exit code; 128 + n when signal n ended it.\nExample: meterbook dev -- node server.js",
    )
    .action(async (command: string[], options: CommonOptions) => {
      process.exitCode = await follow(command, options);
    });
}

async function follow(command: string[], options: CommonOptions): Promise<number> {
  // A mistake in the file is told before anything runs.
  loadConfig({ config: options.config, directory: process.cwd(), env: process.env });
  const place: LogPlace = { from: systemClock.now(), seq: null };
  const app = runApp(command);
  let exit: number | null = null;
  while (exit === null) {
    // The app puts a saved configuration into force; the log follows what is stored.
    const saved = { good: false };
    const unwatch = watchConfig(options, () => (saved.good = true));
    const show = async (node: MeterNode, out: Output): Promise<void> => {
      const log = await liveLog(node, out, place);
      while (!saved.good && app.exit() === null) {
        await log.poll();
        await new Promise((resolve) => setTimeout(resolve, POLL_MS));
      }
      await node.drainAll();
      await log.poll();
    };
    await withNode(options, show, { startsApp: true });
    unwatch();
    exit = app.exit();
    if (exit === null) await app.restart();
  }
  return exit;
}

interface RunningApp {
  /** Exit code once the app ended by itself; null while it runs. */
  exit(): number | null;
  restart(): Promise<void>;
}

function runApp(command: readonly string[]): RunningApp {
  const [program = "", ...rest] = command;
  let exit: number | null = null;
  let replacing = false;
  let child = launch();

  function launch(): ChildProcess {
    const started = spawn(program, rest, { stdio: "inherit" });
    started.on("error", (error) => {
      process.stderr.write(`${program} cannot be started: ${error.message}\n`);
      exit = 1;
    });
    started.on("exit", (code, signal) => {
      if (!replacing) exit = signal === null ? (code ?? 0) : exitOf(signal);
    });
    return started;
  }

  // Whoever stops `dev` means the app: a terminal's ^C reaches both, a `kill` of dev alone must too.
  takeStopSignals((signal) => child.kill(signal));
  return {
    exit: () => exit,
    restart: async () => {
      replacing = true;
      const ended = new Promise((resolve) => child.once("exit", resolve));
      child.kill("SIGTERM");
      const impatient = setTimeout(() => child.kill("SIGKILL"), STOP_MS);
      await ended;
      clearTimeout(impatient);
      replacing = false;
      child = launch();
    },
  };
}

/** Calls back when a saved configuration is good; a broken one is told and the last good one stays in force. */
function watchConfig(options: CommonOptions, onGood: () => void): () => void {
  const source = { config: options.config, directory: process.cwd(), env: process.env };
  const file = findConfig(source);
  if (file === null) return () => undefined;
  return watchFile(file, () => {
    try {
      loadConfig(source);
      process.stderr.write(`${paint.dim(`${basename(file)} saved: restarting`)}\n`);
      onGood();
    } catch (error) {
      if (!(error instanceof ConfigError)) throw error;
      process.stderr.write(
        `${paint.red(error.message)}\n${paint.yellow("The last good configuration stays in force.")}\n`,
      );
    }
  });
}
