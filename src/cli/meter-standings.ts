import type { MeterDefinition } from "../core/meter.ts";
import { reportDefinitions } from "../engine/outbox/closing.ts";
import { openMeterModes, type MeterStanding } from "../engine/outbox/meter-modes.ts";
import type { Store, UsageReporter } from "../engine/ports.ts";
import type { MeterNode } from "../runtime/node.ts";

/** A meter of Stripe, and whether it fits what is configured of it. */
interface StandingMeter {
  readonly reportAs: string;
  readonly standing: MeterStanding;
}

/** Asks Stripe for the meters of some definitions; changes nothing. Throws what the reporter throws. */
export async function meterStandings(
  store: Pick<Store, "getNote" | "putNote">,
  reporter: UsageReporter,
  definitions: readonly MeterDefinition[],
): Promise<readonly StandingMeter[]> {
  const modes = await openMeterModes({ store, meter: (reportAs) => reporter.meter(reportAs), definitions });
  const names = new Set(definitions.filter(({ report }) => report).map(({ reportAs }) => reportAs));
  const standings: StandingMeter[] = [];
  for (const reportAs of names) standings.push({ reportAs, standing: await modes.standing(reportAs) });
  return standings;
}

/** Why meters of Stripe are not reported to: those in force disagree, or those of the file would once the app starts. */
export async function meterMismatches({ store, catalog, settings, reporter }: MeterNode): Promise<readonly string[]> {
  if (reporter === null) return [];
  const inForce = [...(await reportDefinitions({ store, catalog })).values()];
  const reasons = new Set<string>();
  for (const definitions of [inForce, settings.meters])
    for (const { standing } of await meterStandings(store, reporter, definitions))
      if (standing.kind === "mismatch") reasons.add(standing.reason);
  return [...reasons];
}
