import type { Catalog } from "../../core/catalog.ts";
import { MeterbookError } from "../../core/errors.ts";
import type { MeterDefinition } from "../../core/meter.ts";
import { nearName } from "../../core/near-name.ts";
import { ownMembers } from "../../core/own-member.ts";
import { zonedWindows, type ZonedWindows } from "../../core/zoned-window.ts";
import { limits } from "../limits.ts";
import type { StoreView } from "../ports.ts";
import type { Attribution, Customer } from "../registry/customer.ts";
import { conditionCount, labelTest, type LabelTest } from "./label-filter.ts";
import type { MeterQuestion } from "./meter-question.ts";

/** A question that can be answered. */
export interface JudgedQuestion {
  readonly meter: MeterDefinition;
  readonly from: number | null;
  readonly to: number | null;
  readonly windows: ZonedWindows | null;
  /** Whether every window begins and ends with a UTC day, or there is none. */
  readonly isOfDays: boolean;
  /** Whether windows may hold whole UTC days. */
  readonly isLong: boolean;
  readonly bySubject: boolean;
  readonly byCustomer: boolean;
  /** Labels that stay in the rows, in code unit order. */
  readonly labels: readonly string[];
  /** Null = all. */
  readonly subjects: ReadonlySet<string> | null;
  readonly customers: readonly Customer[] | null;
  readonly subjectTest: LabelTest | null;
  readonly tests: readonly (readonly [label: string, test: LabelTest])[];
  readonly fill: boolean;
}

interface Mistake {
  readonly pointer: string;
  readonly message: string;
}

/**
 * Reads a question. METER_NOT_FOUND for a meter that nobody knows; METER_REQUEST_INVALID with the places of all mistakes:
 * bounds that hold nothing, windows, zones, labels and customers that there are not, too many conditions.
 */
export async function judgeQuestion(
  store: Pick<StoreView, "meterVersions">,
  catalog: Catalog,
  attribution: Attribution,
  asked: MeterQuestion,
): Promise<JudgedQuestion> {
  const question = ownMembers(asked);
  const meter = meterNamed(catalog, question.meter);
  const mistakes: Mistake[] = [];
  const { from = null, to = null, window, zone, subjects, customers, groupBy, filters = {} } = question;
  if (from !== null && to !== null && to <= from)
    mistakes.push({ pointer: "/to", message: "The end must be later than the begin: the span is half-open." });
  const windows = windowsOf(question, mistakes);
  const known = await knownLabels(store, meter, [...groupBy, ...Object.keys(filters)]);
  for (const [place, label] of groupBy.entries())
    if (label !== "customer" && !known.has(label)) mistakes.push(unknownGroup(`/groupBy/${place}`, label, known));
  for (const label of Object.keys(filters))
    if (!known.has(label)) mistakes.push(unknownLabel(`/filters/${escaped(label)}`, label, known));
  const conditions = Object.values(filters).reduce((sum, filter) => sum + conditionCount(filter), 0);
  if (conditions > limits.queryConditionsMax)
    mistakes.push({ pointer: "/filters", message: `More than ${limits.queryConditionsMax} conditions.` });
  const payers = customers?.map((idOrKey, place) => customerNamed(attribution, idOrKey, place, mistakes));
  const [first] = mistakes;
  if (first !== undefined) throw new MeterbookError("METER_REQUEST_INVALID", first.message, { mistakes });
  const tests = Object.entries(filters).map(([label, filter]) => [label, labelTest(filter)] as const);
  const isShort = window?.unit === "minute" || window?.unit === "hour";
  return {
    meter,
    from,
    to,
    windows,
    isOfDays: window === null || (!isShort && /^(etc\/)?(utc|gmt|uct|zulu|universal)$/i.test(zone)),
    isLong: !isShort,
    bySubject: subjects !== undefined || groupBy.includes("subject"),
    byCustomer: customers !== undefined || groupBy.includes("customer"),
    labels: [...new Set(groupBy)].filter((label) => label !== "subject" && label !== "customer").toSorted(),
    subjects: subjects === undefined ? null : new Set(subjects),
    customers: payers === undefined ? null : payers.filter((customer) => customer !== null),
    subjectTest: tests.find(([label]) => label === "subject")?.[1] ?? null,
    tests: tests.filter(([label]) => label !== "subject"),
    fill: question.fill,
  };
}

/** The meter of this key. METER_NOT_FOUND, with the one that was probably meant. */
export function meterNamed({ meters }: Catalog, key: string): MeterDefinition {
  const found = meters.find((meter) => meter.key === key);
  if (found !== undefined) return found;
  const near = nearName(
    key,
    meters.map((meter) => meter.key),
  );
  const hint = near === null ? "" : `  Did you mean ${JSON.stringify(near)}?`;
  throw new MeterbookError("METER_NOT_FOUND", `There is no meter ${JSON.stringify(key)}.${hint}`);
}

/** Labels that a meter has, or had in an earlier version where one of `asked` needs it, and `subject`. */
export async function knownLabels(
  store: Pick<StoreView, "meterVersions">,
  meter: MeterDefinition,
  asked: readonly string[],
): Promise<ReadonlySet<string>> {
  const known = new Set(["subject", ...Object.keys(meter.groupBy)]);
  if (asked.every((label) => known.has(label) || label === "customer")) return known;
  for (const { definition } of await store.meterVersions())
    if (definition.key === meter.key) for (const label of Object.keys(definition.groupBy)) known.add(label);
  return known;
}

/** The mistake of asking for a label that a meter never had. */
export function unknownLabel(pointer: string, label: string, known: ReadonlySet<string>): Mistake {
  const near = nearName(label, known);
  const hint = near === null ? "" : `  Did you mean ${JSON.stringify(near)}?`;
  const names = [...known].map((name) => JSON.stringify(name)).join(", ");
  return { pointer, message: `The meter has no label ${JSON.stringify(label)}; known: ${names}.${hint}` };
}

function unknownGroup(pointer: string, label: string, known: ReadonlySet<string>): Mistake {
  const mistake = unknownLabel(pointer, label, known);
  if (!label.includes(",")) return mistake;
  return { pointer, message: `${mistake.message}  For several labels repeat the parameter, or send a list.` };
}

function windowsOf({ window, zone }: MeterQuestion, mistakes: Mistake[]): ZonedWindows | null {
  try {
    // A zone that is stated is judged, also where nothing is cut by it.
    const windows = zonedWindows(window ?? { unit: "day", count: 1 }, zone);
    return window === null ? null : windows;
  } catch (error) {
    if (!(error instanceof MeterbookError)) throw error;
    mistakes.push(...error.mistakes);
    return null;
  }
}

function customerNamed(attribution: Attribution, idOrKey: string, place: number, mistakes: Mistake[]): Customer | null {
  const found = attribution.find(idOrKey);
  if (found === null)
    mistakes.push({ pointer: `/customers/${place}`, message: `There is no customer ${JSON.stringify(idOrKey)}.` });
  return found;
}

/** A member's name in a JSON pointer (RFC 6901). */
function escaped(name: string): string {
  return name.replaceAll("~", "~0").replaceAll("/", "~1");
}
