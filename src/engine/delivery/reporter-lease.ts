import { limits } from "../limits.ts";
import type { Clock, Store } from "../ports.ts";

/** One lease for all nodes of a store: whoever has it reports, and compares with the biller's books. */
const REPORTER_LEASE = "reporter";

/** Does work that only one node may do; null = another one has the lease. */
export async function withReporterLease<Result>(
  { store, clock, holder }: { readonly store: Store; readonly clock: Clock; readonly holder: string },
  work: (keepLease: () => Promise<boolean>) => Promise<Result>,
): Promise<Result | null> {
  const keepLease = (): Promise<boolean> => store.lease(REPORTER_LEASE, holder, clock.now(), limits.reporterLeaseMs);
  if (!(await keepLease())) return null;
  try {
    return await work(keepLease);
  } finally {
    // Another node, or a command, need not wait for the lease to run out.
    await store.lease(REPORTER_LEASE, holder, clock.now(), 0);
  }
}
