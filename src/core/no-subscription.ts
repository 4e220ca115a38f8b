/**
 * How the reason of held rows begins that nothing bills: they were cut where a subscription begins or ends, and are
 * known by it ever after, so no other reason may take its place.
 */
export const NO_SUBSCRIPTION = "no_subscription:";

/** Whether a held row, or all of a lane, waits for a subscription. */
export function waitsForSubscription({ reason }: { readonly reason: string | null }): boolean {
  return reason?.startsWith(NO_SUBSCRIPTION) === true;
}
