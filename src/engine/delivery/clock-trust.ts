import type { Store, UsageReporter } from "../ports.ts";
import { closableWindows, nextEras } from "../outbox/report-windows.ts";

/**
 * Why this machine's clock may decide nothing now; null when it may, or when there is nothing to decide. A clock that jumped
 * would close windows before their time and call usage too old for ever, so the biller's own time is asked for right
 * before; rounds without such work ask nothing. Throws METER_STRIPE_REFUSED or METER_STRIPE_UNREACHABLE.
 */
export async function clockFault(
  store: Store,
  reporter: Pick<UsageReporter, "clockFault">,
  report: { readonly windowMs: number; readonly latenessMs: number },
  now: number,
): Promise<string | null> {
  return (await hasToDecide(store, report, now)) ? reporter.clockFault() : null;
}

async function hasToDecide(
  store: Store,
  { windowMs, latenessMs }: { readonly windowMs: number; readonly latenessMs: number },
  now: number,
): Promise<boolean> {
  const eras = await nextEras(store, windowMs, now);
  if ((await closableWindows(store, eras, now, latenessMs, 1)).length > 0) return true;
  for (const state of ["pending", "sending"] as const)
    if ((await store.outbox({ state, limit: 1 })).length > 0) return true;
  // What is held may be given up, or be called too late for its invoice as soon as somebody pays for it.
  return (await store.outbox({ state: "held", final: false, limit: 1 })).length > 0;
}
