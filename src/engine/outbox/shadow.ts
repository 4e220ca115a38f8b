import { windowStart } from "../../core/window.ts";
import type { OutboxRow, Store } from "../ports.ts";
import { reportEras } from "./report-windows.ts";

/** Which windows of event time are in shadow: closed and addressed as always, and never sent. */
export interface Shadow {
  /** Whether the biller is not called at all now. */
  readonly isOn: boolean;
  /** Whether a window's usage is in shadow for good; what was really sent before stays real. */
  covers(row: Pick<OutboxRow, "windowStart" | "firstAttemptAt">): boolean;
}

/** Half-open by the start of windows; null = it goes on. */
interface ShadowSpan {
  readonly from: number;
  readonly until: number | null;
}

const NOTE = "report.shadow";

/** No shadow ever. */
export const NO_SHADOW: Shadow = { isOn: false, covers: () => false };

/**
 * Takes the setting into account. Shadow begins with the window that runs when it is switched on, or with all that there
 * is where nothing was ever reported; after it is switched off, reporting begins with the next window: the past stays
 * shadow, also what of it comes late or waits for a customer.
 */
export async function openShadow(
  store: Store,
  setting: { readonly isOn: boolean; readonly windowMs: number; readonly readOnly?: boolean },
  now: number,
): Promise<Shadow> {
  const { isOn, windowMs } = setting;
  const known = await shadowSpans(store);
  const last = known.at(-1);
  const isOpen = last !== undefined && last.until === null;
  let spans = known;
  if (isOn && !isOpen) {
    const from = (await reportEras(store)) === null ? Number.MIN_SAFE_INTEGER : windowStart(now, windowMs);
    spans = [...known, { from, until: null }];
  } else if (!isOn && isOpen) {
    spans = [...known.slice(0, -1), { from: last.from, until: windowStart(now, windowMs) + windowMs }];
  }
  if (spans !== known && setting.readOnly !== true) await store.putNote(NOTE, JSON.stringify(spans));
  return {
    isOn,
    covers: ({ windowStart: start, firstAttemptAt }) =>
      firstAttemptAt === null && spans.some(({ from, until }) => start >= from && (until === null || start < until)),
  };
}

/** Whether the last round of reporting was one in shadow. */
export async function isInShadow(store: Pick<Store, "getNote">): Promise<boolean> {
  return (await shadowSpans(store)).at(-1)?.until === null;
}

async function shadowSpans(store: Pick<Store, "getNote">): Promise<readonly ShadowSpan[]> {
  const spans: readonly ShadowSpan[] = JSON.parse((await store.getNote(NOTE)) ?? "[]");
  return spans;
}
