import {
  itemOf,
  type BilledPeriod,
  type BillerLane,
  type Drift,
  type ForgetQuery,
  type Forgotten,
  type Reconciliation,
} from "../engine/ports.ts";
import { forgetOldest } from "./memory-forgetting.ts";

/** What is known of the biller's books: where they differ, when they were read, which periods it bills. */
export class MemoryBooks {
  private driftsFound: readonly Drift[] = [];
  private readonly checks = new Map<string, Reconciliation>();
  private readonly billed = new Map<string, BilledPeriod>();
  private readonly seen = new Map<string, number>();

  /** A copy that does not change with this one. */
  copy(): MemoryBooks {
    const copy = new MemoryBooks();
    copy.driftsFound = this.driftsFound;
    for (const [key, check] of this.checks) copy.checks.set(key, check);
    for (const [key, period] of this.billed) copy.billed.set(key, period);
    for (const [name, at] of this.seen) copy.seen.set(name, at);
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
      .toSorted((a, b) => a.from - b.from || (itemOf(a) < itemOf(b) ? -1 : 1));
  }

  putPeriods(periods: readonly BilledPeriod[]): void {
    for (const period of periods)
      this.billed.set(JSON.stringify([period.customer, period.reportAs, itemOf(period), period.from]), period);
  }

  takeOnce(name: string, now: number): boolean {
    if (this.seen.has(name)) return false;
    this.seen.set(name, now);
    return true;
  }

  forgetNames(query: ForgetQuery): Forgotten {
    return forgetOldest(this.seen, query);
  }
}
