import { clockTrust, type ClockTrust } from "../../../src/engine/delivery/clock-trust.ts";
import { dailyReadings } from "../../../src/engine/delivery/daily-readings.ts";
import { deliver, type DeliveryOptions, type DeliverySummary } from "../../../src/engine/delivery/delivery.ts";
import { pace, type Pace } from "../../../src/engine/delivery/pace.ts";
import { closeWindows } from "../../../src/engine/outbox/outbox.ts";
import type { OutboxRow } from "../../../src/engine/ports.ts";
import { recordingReporter, type RecordingReporter } from "../../../src/testing/recording-reporter.ts";
import { closingOf } from "../outbox/closing-world.ts";
import { catalogOf, chat, HOUR, START, tokens, world, type World } from "../world.ts";

/** Reports that are ready to be sent, and the real parts that send them. */
export type Sending = World & {
  readonly reporter: RecordingReporter;
  readonly trust: ClockTrust;
  readonly speed: Pace;
  /** What was waited for between calls, milliseconds. */
  readonly waits: number[];
  readonly send: (changes?: Partial<DeliveryOptions>) => Promise<DeliverySummary>;
  readonly rows: () => Promise<readonly OutboxRow[]>;
};

/** One report of each of so many companies, ready to be sent. */
export async function sending(companies: number, catalog = catalogOf(tokens)): Promise<Sending> {
  const base = world({ catalog });
  const names = Array.from({ length: companies }, (_, at) => `company-${100 + at}`);
  const reporter = recordingReporter({ customers: Object.fromEntries(names.map((name) => [name, `cus_${name}`])) });
  await base.take(...names.map((company) => chat("5", { company })));
  base.clock.set(START + 2 * HOUR);
  const { closing, modes } = await closingOf(base, reporter);
  await closeWindows(closing, modes);
  const trust = clockTrust(reporter, base.clock);
  const speed = pace(20);
  const waits: number[] = [];
  const { standing } = modes;
  const send = async (changes: Partial<DeliveryOptions> = {}): Promise<DeliverySummary> =>
    deliver({
      store: base.store,
      reporter,
      gates: { store: base.store, shadow: closing.shadow, coverage: closing.coverage, graceMs: HOUR, standing },
      clock: base.clock,
      trust,
      readings: await dailyReadings(base.store, base.clock.now(), "readBack"),
      holder: "node-1",
      random: () => 0.5,
      wait: async (ms) => {
        waits.push(ms);
        base.clock.advance(ms);
      },
      pace: speed,
      keepLease: async () => true,
      ...changes,
    });
  return { ...base, reporter, trust, speed, waits, send, rows: () => base.store.outbox({ limit: 999 }) };
}
