import { ownMember } from "../../core/own-member.ts";
import { groupLabels, groupText, SUBJECT_LABEL } from "../../core/usage.ts";
import type { Attribution } from "../registry/customer.ts";
import type { Series } from "./answer-rows.ts";
import type { JudgedQuestion } from "./judged-question.ts";

/** Which rows usage belongs to, by who paid for it and its stored group. */
export interface UsageLanes {
  /** Whether the filters let the usage pass. */
  passes(company: string, group: string, time: number): boolean;
  /** Made when it is asked for first; null when a filter keeps the usage out. */
  seriesOf(company: string, group: string, time: number): Series | null;
  /** By customer, subject and group. */
  all(): readonly Series[];
}

/** What one company's group stands for; the series by customer, since a subject may change hands. */
interface Lane {
  readonly subject: string;
  readonly group: string;
  readonly series: Map<string | null, Series>;
}

export function usageLanes(question: JudgedQuestion, attribution: Attribution): UsageLanes {
  const { byCustomer, bySubject } = question;
  const wanted = question.customers === null ? null : new Set(question.customers.map(({ id }) => id));
  const lanes = new Map<string, Map<string, Lane | null>>();
  const all = new Map<string, Series>();
  const laneAt = (company: string, group: string): Lane | null => {
    let own = lanes.get(company);
    if (own === undefined) {
      own = new Map();
      lanes.set(company, own);
    }
    let lane = own.get(group);
    if (lane === undefined) {
      lane = laneOf(question, company, group);
      own.set(group, lane);
    }
    return lane;
  };
  const seriesAt = (customer: string | null, subject: string | null, group: string): Series => {
    const key = JSON.stringify([customer, subject, group]);
    let series = all.get(key);
    if (series === undefined) {
      series = { customer, subject, group, drafts: new Map() };
      all.set(key, series);
    }
    return series;
  };
  // Undefined = somebody who is not asked for.
  const customerAt = (lane: Lane, company: string, time: number): string | null | undefined => {
    const customer = byCustomer ? (attribution.customerOf(company, lane.subject, time)?.id ?? null) : null;
    return wanted === null || (customer !== null && wanted.has(customer)) ? customer : undefined;
  };
  for (const { subject, customer } of stated(question)) seriesAt(customer, subject, "{}");
  return {
    passes: (company, group, time) => {
      const lane = laneAt(company, group);
      return lane !== null && customerAt(lane, company, time) !== undefined;
    },
    seriesOf: (company, group, time) => {
      const lane = laneAt(company, group);
      const customer = lane === null ? undefined : customerAt(lane, company, time);
      if (lane === null || customer === undefined) return null;
      let series = lane.series.get(customer);
      if (series === undefined) {
        series = seriesAt(customer, bySubject ? lane.subject : null, lane.group);
        lane.series.set(customer, series);
      }
      return series;
    },
    all: () => [...all.values()].toSorted(bySeries),
  };
}

/** Null when the filters keep the group out. */
function laneOf({ subjects, subjectTest, tests, labels }: JudgedQuestion, company: string, group: string): Lane | null {
  const stored = groupLabels(group);
  const text = (label: string): string => ownMember(stored, label) ?? "";
  const subject = ownMember(stored, SUBJECT_LABEL) ?? company;
  if (subjects !== null && !subjects.has(subject)) return null;
  if (subjectTest !== null && !subjectTest(subject)) return null;
  if (!tests.every(([label, test]) => test(text(label)))) return null;
  const kept = labels.length === 0 ? "{}" : groupText(Object.fromEntries(labels.map((label) => [label, text(label)])));
  return { subject, group: kept, series: new Map() };
}

/** Series that have rows also without usage, where empty windows are filled. */
function stated(
  question: JudgedQuestion,
): readonly { readonly subject: string | null; readonly customer: string | null }[] {
  const { fill, labels, bySubject, byCustomer, subjects, customers } = question;
  if (!fill || labels.length > 0 || (bySubject && byCustomer)) return [];
  if (bySubject) return [...(subjects ?? [])].map((subject) => ({ subject, customer: null }));
  if (byCustomer) return (customers ?? []).map(({ id }) => ({ subject: null, customer: id }));
  return [{ subject: null, customer: null }];
}

function bySeries(a: Series, b: Series): number {
  return (
    byCodeUnit(a.customer ?? "", b.customer ?? "") ||
    byCodeUnit(a.subject ?? "", b.subject ?? "") ||
    byCodeUnit(a.group, b.group)
  );
}

function byCodeUnit(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
