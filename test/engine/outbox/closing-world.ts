import type { Catalog } from "../../../src/core/catalog.ts";
import type { PeriodsOf } from "../../../src/engine/outbox/billing-periods.ts";
import type { Closing } from "../../../src/engine/outbox/closing.ts";
import { openCoverage, type Coverage, type RoundCoverage } from "../../../src/engine/outbox/coverage.ts";
import { openCustomerMap } from "../../../src/engine/outbox/customers.ts";
import { openMeterModes, type MeterModes } from "../../../src/engine/outbox/meter-modes.ts";
import { NO_SHADOW } from "../../../src/engine/outbox/shadow.ts";
import type { Store } from "../../../src/engine/ports.ts";
import type { RecordingReporter } from "../../../src/testing/recording-reporter.ts";
import { hourly, type World } from "../world.ts";

export interface OpenClosing {
  readonly closing: Closing & Pick<RoundCoverage, "asking">;
  readonly modes: MeterModes;
}

/** These periods, and a subscription for whatever lies outside of them. */
export function billedAlways(periods: PeriodsOf): Coverage {
  return { periods, answer: async () => "billed" };
}

/** What a round closes windows with, at the world's present instant, from the real parts. */
export async function closingOf(
  { store, catalog, clock }: { readonly store: Store; readonly catalog: Catalog } & Pick<World, "clock">,
  reporter: RecordingReporter,
  changes: Partial<Closing> = {},
): Promise<OpenClosing> {
  const modes = await openMeterModes({
    store,
    meter: (reportAs) => reporter.meter(reportAs),
    definitions: catalog.meters,
  });
  const customers = await openCustomerMap({ store, reporter, clock, unmatched: "hold", readOnly: false });
  const coverage = openCoverage({ store, reporter, noSubscription: "send" });
  coverage.learn(await reporter.periods());
  const closing = {
    store,
    catalog,
    report: hourly.report,
    account: await reporter.account(),
    customers,
    meter: modes.standing,
    coverage: coverage.asking(9),
    asking: coverage.asking,
    shadow: NO_SHADOW,
    taken: new Set<string>(),
    keepLease: async () => true,
    now: clock.now(),
    ...changes,
  };
  return { closing, modes };
}
