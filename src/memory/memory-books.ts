import type { BilledPeriod, BillerLane, Drift, Reconciliation } from "../engine/ports.ts";

/** What is known of the biller's books: where they differ, when they were read, which periods it bills. */
export class MemoryBooks {
  private driftsFound: readonly Drift[] = [];
  private readonly checks = new Map<string, Reconciliation>();
  private readonly billed = new Map<string, BilledPeriod>();
  private readonly seen = new Set<string>();

  /** A copy that does not change with this one. */
  copy(): MemoryBooks {
    const copy = new MemoryBooks();
    copy.driftsFound = this.driftsFound;
    for (const [key, check] of this.checks) copy.checks.set(key, check);
    for (const [key, period] of this.billed) copy.billed.set(key, period);
    for (const name of this.seen) copy.seen.add(name);
    return copy;
  }

  drifts(): readonly Drift[] {
    return this.driftsFound.toSorted((a, b) => a.from - b.from);
  }

  putDrifts({ customer, reportAs }: BillerLane, from: number, to: number, drifts: readonly Drift[]): void {
    const kept = this.driftsFound.filter(
      (drift) => drift.customer !== customer || drift.reportAs !== reportAs || drift.from < from || drift.from >= to,
    );
    this.driftsFound = [...kept, ...drifts.map((drift) => ({ ...drift, customer, reportAs }))];
  }

  reconciliations(): Reconciliation[] {
    return [...this.checks.values()].toSorted((a, b) => a.checkedAt - b.checkedAt);
  }

  putReconciliation(reconciliation: Reconciliation): void {
    this.checks.set(JSON.stringify([reconciliation.customer, reconciliation.reportAs]), reconciliation);
  }

  periods(lane?: BillerLane): BilledPeriod[] {
    return [...this.billed.values()]
      .filter(
        ({ customer, reportAs }) => lane === undefined || (customer === lane.customer && reportAs === lane.reportAs),
      )
      .toSorted((a, b) => a.from - b.from);
  }

  putPeriods(periods: readonly BilledPeriod[]): void {
    for (const period of periods)
      this.billed.set(JSON.stringify([period.customer, period.reportAs, period.from]), period);
  }

  takeOnce(name: string): boolean {
    if (this.seen.has(name)) return false;
    this.seen.add(name);
    return true;
  }
}
