import { schedule } from "../agenda.ts";
import { localStripeBounds as bounds } from "../bounds.ts";
import { nowMs, type LocalState, type MeterRecord } from "../state.ts";
import { recordThinEvent, relatedTo } from "../webhooks/thin-events.ts";
import type { MeterErrorCode } from "./rejection.ts";

/** The errors of one meter, or of no meter, in one window of validation. */
export interface ErrorWindow {
  readonly startMs: number;
  readonly kinds: Map<MeterErrorCode, ErrorKind>;
}

interface ErrorKind {
  count: number;
  readonly samples: { readonly error_message: string; readonly request: { readonly identifier: string } }[];
}

/** Notes a refused event. Its window's report goes out when the window is over, with a bounded number of samples. */
export function reportMeterError(
  state: LocalState,
  meter: MeterRecord | null,
  error: { readonly code: MeterErrorCode; readonly message: string; readonly sample: string },
): void {
  const kind = errorKind(windowOf(state, meter), error.code);
  kind.count += 1;
  if (kind.samples.length < state.settings.errorSamplesMax) {
    kind.samples.push({ error_message: error.message, request: { identifier: error.sample } });
  }
}

function windowOf(state: LocalState, meter: MeterRecord | null): ErrorWindow {
  const startMs = Math.floor(nowMs(state) / bounds.validationWindowMs) * bounds.validationWindowMs;
  const key = `${meter?.id ?? ""} ${String(startMs)}`;
  const known = state.errorWindows.get(key);
  if (known !== undefined) {
    return known;
  }
  const opened: ErrorWindow = { startMs, kinds: new Map() };
  state.errorWindows.set(key, opened);
  schedule(state, startMs + bounds.validationWindowMs, () => {
    state.errorWindows.delete(key);
    sendReport(state, meter, opened);
  });
  return opened;
}

function errorKind({ kinds }: ErrorWindow, code: MeterErrorCode): ErrorKind {
  const kind = kinds.get(code) ?? { count: 0, samples: [] };
  kinds.set(code, kind);
  return kind;
}

function sendReport(state: LocalState, meter: MeterRecord | null, { startMs, kinds }: ErrorWindow): void {
  const count = [...kinds.values()].reduce((sum, kind) => sum + kind.count, 0);
  const data = {
    developer_message_summary: count === 1 ? "There is 1 invalid event" : `There are ${String(count)} invalid events`,
    reason: {
      error_count: count,
      error_types: [...kinds].map(([code, kind]) => ({ code, error_count: kind.count, sample_errors: kind.samples })),
    },
    validation_end: new Date(startMs + bounds.validationWindowMs).toISOString(),
    validation_start: new Date(startMs).toISOString(),
  };
  const type = meter === null ? "v1.billing.meter.no_meter_found" : "v1.billing.meter.error_report_triggered";
  const related = meter === null ? null : relatedTo({ id: meter.id, object: "billing.meter" });
  recordThinEvent(state, type, { related, data, snapshot: null });
}
