import { Command, Option } from "commander";
import { paint } from "../paint.ts";

import type { Clock } from "../../engine/ports.ts";
import { verify } from "../../engine/books/verify.ts";
import { loadConfig } from "../../runtime/load-config.ts";
import { openNode, type MeterNode } from "../../runtime/node.ts";
import { reportCycle } from "../../runtime/report-cycle.ts";
import { holderName, systemClock, systemWait } from "../../runtime/system.ts";
import { compare } from "../demo/comparison.ts";
import { startDemoWorld, type DemoWorld } from "../demo/demo-world.ts";
import { demoScript, send } from "../demo/traffic.ts";
import { liveLog, type LiveLog } from "../live.ts";
import { portOf } from "../instants.ts";
import { grouped, output, type Output } from "../output.ts";
import { stopSignal, type Stop } from "../stop-signals.ts";

interface DemoOptions {
  readonly once?: boolean;
  readonly json?: boolean;
  readonly port: string;
}

const ROUNDS_ONCE = 8;
const STEP_PAUSE_MS = 700;
const HOUR_MS = 3_600_000;

/** `meterbook demo`: example API, traffic, worker, local Stripe; compares both books at the end. */
export function demoCommand(): Command {
  return new Command("demo")
    .description(
      "Run the whole chain here: example API, traffic, metering, a local Stripe; no account, no key, no network",
    )
    .option(
      "--once",
      "send a fixed round of traffic, report it, compare, and end with 0 only if Stripe's ledger equals ours",
    )
    .addOption(
      new Option("--port <port>", "port of the example API; another free one when it is taken").default("4401", "4401"),
    )
    .addHelpText(
      "after",
      "\nWithout --once it runs until ^C (ends with 130) or SIGTERM (143), and compares the books then.\nExample: meterbook demo --once",
    )
    .action(async (options: DemoOptions) => {
      const out = output({ json: options.json === true });
      const stop = stopSignal();
      const traffic = options.once === true ? once(stop) : trickle(stop);
      const exit = await inDemoWorld(options, out, traffic);
      process.exitCode = stop.exit() ?? exit;
    });
}

/** The clock of the closing report stands an hour ahead, so that the last minute's window is over; the local Stripe shares it. */
interface DemoClock extends Clock {
  ahead: number;
}

type Traffic = (world: DemoWorld, log: LiveLog) => Promise<void>;

/** One round of the script; a stop ends it early, and what was sent is still reported and compared. */
function once(stop: Stop): Traffic {
  return async (world, log) => {
    for (const step of demoScript(ROUNDS_ONCE)) {
      if (stop.exit() !== null) return;
      await send(world.apiUrl, step);
    }
    await log.poll();
  };
}

/** Starts everything, lets `traffic` happen, then reports what is due and compares the books. */
async function inDemoWorld(options: DemoOptions, out: Output, traffic: Traffic): Promise<number> {
  const clock: DemoClock = { ahead: 0, now: () => systemClock.now() + clock.ahead };
  const world = await startDemoWorld({ clock, apiPort: portOf(options.port), appReports: options.once !== true });
  const node = await openDemoNode(world, clock);
  try {
    announce(world, options, out);
    const log = await liveLog(node, out, { from: systemClock.now(), seq: null });
    await traffic(world, log);
    await world.metering.close();
    await log.poll();
    clock.ahead = HOUR_MS;
    if (!out.json) out.line("          (the clock of the demo moves on by an hour, so that the last window is over)");
    await reportCycle(node, {
      clock,
      holder: holderName(),
      onNotice: (notice) => out.hint(`${notice.code}: ${notice.text}`),
    });
    await log.poll();
    return await conclude(node, world, out);
  } finally {
    await node.close();
    await world.close();
  }
}

function trickle(stop: Stop): Traffic {
  return async (world, log) => {
    while (stop.exit() === null) {
      for (const step of demoScript(ROUNDS_ONCE)) {
        if (stop.exit() !== null) return;
        await send(world.apiUrl, step);
        await Promise.race([stop.came, systemWait(STEP_PAUSE_MS)]);
        await log.poll();
      }
    }
  };
}

async function openDemoNode(world: DemoWorld, clock: Clock): Promise<MeterNode> {
  const { settings } = loadConfig({ config: world.configFile, directory: world.folder, env: process.env });
  return openNode({ settings, clock, ownWriter: null, adoptFrom: null, onNotice: () => undefined });
}

function announce(world: DemoWorld, { once: isOnce }: DemoOptions, out: Output): void {
  if (out.json) return;
  out.line(`  Demo API    ${world.apiUrl}/chat${isOnce === true ? "" : "          (^C to stop)"}`);
  out.line(`  Stripe      pretend, at ${world.stripe.url} (nothing leaves this machine)`);
  out.line(`  Config      ${world.configFile}`);
  out.line();
}

async function conclude(node: MeterNode, world: DemoWorld, out: Output): Promise<number> {
  const lines = await compare(node, world.stripe);
  const sums = await verify(node.store, node.catalog, { onProgress: () => undefined });
  const equal = lines.every((line) => line.equal) && sums.ok;
  if (out.json) {
    out.record({ equal, lines, verify: sums });
    return equal ? 0 : 1;
  }
  out.line();
  out.table(
    [
      ["company", "meter", "events", "we counted", "Stripe's ledger", "held", "why"],
      ...lines.map((line) => [
        line.company,
        line.meter,
        String(line.events),
        grouped(line.counted),
        grouped(line.stripe),
        grouped(line.held),
        line.reason,
      ]),
    ],
    { right: [2, 3, 4, 5] },
  );
  out.line();
  out.line(
    equal
      ? paint.green("✓ Stripe's ledger equals ours to the digit; nothing is missing, nothing is double.")
      : paint.red("✗ The books differ."),
  );
  return equal ? 0 : 1;
}
