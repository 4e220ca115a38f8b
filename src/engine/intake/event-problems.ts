import type { Catalog } from "../../core/catalog.ts";
import type { UsageEvent } from "../../core/event.ts";
import { compilePath } from "../../core/field-path.ts";
import type { MeterDefinition } from "../../core/meter.ts";
import { ownMember } from "../../core/own-member.ts";
import { shown } from "../../core/scalar.ts";
import type { Verdict } from "../../core/verdict.ts";
import type { Customer } from "../registry/customer.ts";
import type { ListedEvent } from "./accepted.ts";

type EventProblem = ListedEvent["problems"][number];

/**
 * Why an event does not count where its sender may expect it: no meter is for its type, no customer owns its subject, a
 * meter has no value for it or holds it. That a filter leaves it out is no problem.
 */
export function eventProblems(
  catalog: Catalog,
  event: UsageEvent,
  verdicts: readonly Verdict[],
  customer: Customer | null,
): readonly EventProblem[] {
  const subject = ownMember(event, "subject");
  const problems: EventProblem[] = [];
  if (!catalog.isMetered(event.type, event.time)) {
    problems.push({ code: "no_meter", message: `no meter is for the event type ${shown(event.type)}`, meter: null });
  }
  if (subject !== undefined && customer === null) {
    problems.push({ code: "no_customer", message: `no customer has the subject ${shown(subject)}`, meter: null });
  }
  for (const verdict of verdicts) problems.push(...problemOf(catalog, event, verdict));
  return problems;
}

function problemOf(catalog: Catalog, event: UsageEvent, verdict: Verdict): readonly EventProblem[] {
  const { meter } = verdict;
  if (verdict.kind === "counted") return [];
  if (verdict.kind === "held") return [{ code: verdict.reason, message: verdict.detail, meter }];
  const definition = catalog.definitionAt(meter, event.time);
  return definition === null ? [] : skippedValue(definition, event, verdict.reason);
}

/** A meter that skips what has no value says nothing of it when it counts; its sender should see it here. */
function skippedValue(definition: MeterDefinition, event: UsageEvent, reason: string): readonly EventProblem[] {
  const { key: meter, value } = definition;
  if (value === null || !reason.startsWith(`${value} is missing, `)) return [];
  const found = compilePath(value).read(event);
  if (found === null) return [{ code: "null_value", message: `the value at ${value} is null`, meter }];
  return [{ code: "missing_value", message: `there is no value at ${value}`, meter }];
}
