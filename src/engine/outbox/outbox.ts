import { reportDefinitions, type Closing } from "./closing.ts";
import { limits } from "../limits.ts";
import type { MeterModes } from "./meter-modes.ts";
import type { DirtyWindow, NewOutboxRow } from "../ports.ts";
import { keepAccount } from "./report-account.ts";
import { closableWindows, keepEras, nextEras } from "./report-windows.ts";
import { windowRows, type ClosedWindow } from "./window-rows.ts";

/** How many rows were made, and those whose usage had to be held. */
export interface ClosedUsage {
  readonly closed: number;
  readonly held: readonly NewOutboxRow[];
}

/**
 * Puts the usage of ended windows into the outbox; late usage becomes the next row of its window. One transaction holds
 * a row and the mark it clears. Each window is looked at once: one that cannot be closed now, or changes as fast as it is
 * read, is left for the next round, and keeps none of the others waiting.
 */
export async function closeWindows(closing: Closing, modes: Pick<MeterModes, "keep">): Promise<ClosedUsage> {
  const { store, report, now } = closing;
  const eras = await nextEras(store, report.windowMs, now);
  await keepEras(store, eras);
  const held: NewOutboxRow[] = [];
  let closed = 0;
  let last: DirtyWindow | undefined;
  for (;;) {
    const windows = await closableWindows(store, eras, now, report.latenessMs, limits.closeWindowsMax, last);
    last = windows.at(-1);
    if (last === undefined || !(await closing.keepLease())) return { closed, held };
    const made = await enqueueRows(closing, modes, (await plannedRows(closing, windows)).rows);
    closed += made.closed;
    held.push(...made.held);
  }
}

/** Puts planned rows into the outbox, those whose window is still as it was read. */
export async function enqueueRows(
  closing: Closing,
  modes: Pick<MeterModes, "keep">,
  rows: readonly ClosedWindow[],
): Promise<ClosedUsage> {
  const { store, account, now } = closing;
  const pending = rows.flatMap(({ row }) => (row?.state === "pending" ? [row] : []));
  if (pending.length > 0) await keepAccount(store, account);
  for (const reportAs of new Set(pending.map((row) => row.reportAs))) {
    const answer = await closing.meter(reportAs);
    if (answer.kind === "ready") await modes.keep(reportAs, answer.keepsLast);
  }
  const closed = rows.length === 0 ? 0 : await store.enqueue(rows, now);
  return { closed, held: closed === 0 ? [] : rows.flatMap(({ row }) => (row?.state === "held" ? [row] : [])) };
}

/**
 * The rows that these windows would become, in order; each (meter, company)'s running totals go on from row to row.
 * `postponed` windows cannot be closed yet.
 */
export async function plannedRows(
  closing: Closing,
  windows: readonly DirtyWindow[],
): Promise<{ readonly rows: readonly ClosedWindow[]; readonly postponed: readonly DirtyWindow[] }> {
  const definitions = await reportDefinitions(closing);
  const totals = new Map<string, Pick<DirtyWindow, "runningRaw" | "runningValue">>();
  const rows: ClosedWindow[] = [];
  const postponed: DirtyWindow[] = [];
  for (const window of windows) {
    const lane = JSON.stringify([window.meter, window.company]);
    const basis = { ...window, ...totals.get(lane) };
    const definition = definitions.get(window.meter);
    const closed = definition === undefined ? [{ basis, row: null }] : await windowRows(closing, basis, definition);
    if (closed === null) postponed.push(window);
    const last = closed?.findLast(({ row }) => row !== null);
    rows.push(...(closed ?? []));
    if (last === undefined || last.row === null) continue;
    const { basis: from, row } = last;
    totals.set(lane, { runningRaw: from.runningRaw + row.raw, runningValue: from.runningValue + row.value });
  }
  return { rows, postponed };
}
