import { schedule } from "../agenda.ts";
import type { BehaviourKey } from "../behaviours.ts";
import { recordMeterEvent } from "../ledger.ts";
import { meterNamed } from "../meters.ts";
import { nowMs, type LocalState, type Receipt } from "../state.ts";
import { reportMeterError } from "./error-report.ts";
import { judgeMeterEvent, type JudgedEvent, type SentEvent } from "./judge.ts";
import { isRejection, reportCode, type MeterErrorCode } from "./rejection.ts";

/** The rows of the behaviours table that asynchronous validation shows. */
export const VALIDATION_BEHAVIOURS: readonly BehaviourKey[] = [
  "validation.later",
  "validation.moment",
  "validation.identifier_taken",
  "validation.report",
  "validation.no_meter_found",
  "validation.windows",
  "validation.samples",
];

/** Takes a judged event in: it counts from now on. */
export function receiveJudged(state: LocalState, event: JudgedEvent, identifier: string): void {
  recordMeterEvent(state, event, newReceipt(state, identifier, event.meter.eventName));
}

/**
 * Takes an event in and judges it after the summary lag, by the customers and meters of then. What fails is never
 * counted and goes into an error report. `doom` = fail with this code whatever the rules say.
 */
export function receiveUnjudged(
  state: LocalState,
  sent: SentEvent,
  taken: { readonly identifier: string; readonly idempotencyKey: string | null; readonly doom: MeterErrorCode | null },
): void {
  const receipt = newReceipt(state, taken.identifier, sent.eventName);
  schedule(state, receipt.receivedAt + state.lags.summaryMs, () => {
    if (receipt.cancelled) {
      return;
    }
    const judged = judgeMeterEvent(state, sent, receipt.receivedAt);
    if (taken.doom === null && !isRejection(judged)) {
      recordMeterEvent(state, judged, receipt);
      return;
    }
    const code = taken.doom ?? (isRejection(judged) ? reportCode(judged) : "meter_event_invalid_value");
    reportMeterError(state, code === "no_meter" ? null : meterNamed(state, sent.eventName), {
      code,
      message: isRejection(judged) ? judged.text.message : `The meter event was refused: ${code}.`,
      sample: sampleName(state, taken),
    });
  });
}

/** What an error report names a refused event by. */
function sampleName(
  { settings }: LocalState,
  { identifier, idempotencyKey }: { readonly identifier: string; readonly idempotencyKey: string | null },
): string {
  return settings.errorSampleNames === "identifier" ? identifier : (idempotencyKey ?? identifier);
}

function newReceipt(state: LocalState, identifier: string, eventName: string): Receipt {
  state.counter += 1;
  const receipt = { identifier, eventName, receivedAt: nowMs(state), arrival: state.counter, cancelled: false };
  state.identifiers.set(identifier, receipt);
  return receipt;
}
