import { compileCatalog, type Catalog } from "../../../src/core/catalog.ts";
import type { Json, UsageEvent } from "../../../src/core/event.ts";
import type { MeterDefinition } from "../../../src/core/meter.ts";
import { ingest } from "../../../src/engine/ingest/ingest.ts";
import type { Store } from "../../../src/engine/ports.ts";
import type { Attribution, Customer } from "../../../src/engine/registry/customer.ts";
import type { MeterAnswer, MeterQuestion } from "../../../src/engine/usage/meter-question.ts";
import { queryMeter } from "../../../src/engine/usage/meter-query.ts";

/** Milliseconds UTC of an ISO text. */
export function at(text: string): number {
  const time = Date.parse(text);
  if (Number.isNaN(time)) throw new Error(text);
  return time;
}

export function meterOf(changes: Partial<MeterDefinition> = {}): MeterDefinition {
  return {
    key: "usage",
    name: "Usage",
    unit: null,
    eventType: "t",
    match: [],
    aggregate: "sum",
    value: "data.n",
    groupBy: {},
    missingValue: "skip",
    allowNegative: true,
    report: false,
    reportAs: "usage",
    ...changes,
  };
}

export function catalogWith(...definitions: readonly MeterDefinition[]): Catalog {
  return compileCatalog({
    versions: definitions.map((definition) => ({ definition, version: 1, effectiveFrom: Number.MIN_SAFE_INTEGER })),
    fields: {},
    unknownIdentity: "hold",
  });
}

let lastId = 0;

/** An event as the service takes it in: about a subject, paid for by a company. */
export function sent(
  time: string | number,
  values: Readonly<Record<string, Json>> = {},
  parts: { readonly subject?: string; readonly company?: string; readonly id?: string; readonly type?: string } = {},
): UsageEvent {
  const { subject = "acme", company = subject, id = `e${++lastId}`, type = "t" } = parts;
  const instant = typeof time === "number" ? time : at(time);
  return { source: "test", id, type, time: instant, company, user: null, subject, data: values };
}

export function customerOf(id: string, key: string | null, subjects: readonly string[]): Customer {
  return {
    id,
    key,
    name: id,
    description: null,
    currency: null,
    primaryEmail: null,
    metadata: {},
    subjects: subjects.map((subject) => ({ subject, from: null, to: null })),
    extra: {},
    createdAt: 0,
    updatedAt: 0,
    deletedAt: null,
  };
}

function companies({ id, key, subjects }: Customer): readonly string[] {
  return [id, ...(key === null ? [] : [key]), ...subjects.map(({ subject }) => subject)];
}

/** Attribution over customers who own their subjects for ever. */
export function attributionOf(...customers: readonly Customer[]): Attribution {
  const owner = (name: string): Customer | null =>
    customers.find((customer) => companies(customer).includes(name)) ?? null;
  return {
    revision: 1,
    companyOf: (subject) => {
      const customer = owner(subject);
      return customer === null ? subject : (customer.key ?? customer.id);
    },
    customerOf: (company) => owner(company),
    companiesOf: companies,
    turnsOf: () => [],
    find: (idOrKey) => customers.find(({ id, key }) => id === idOrKey || key === idOrKey) ?? null,
    endOf: () => null,
    customers: () => customers,
  };
}

export interface Asked {
  readonly store: Store;
  readonly catalog: Catalog;
  readonly attribution: Attribution;
  readonly take: (...events: readonly UsageEvent[]) => Promise<void>;
  readonly ask: (question?: Partial<MeterQuestion>) => Promise<MeterAnswer>;
}

/** A store with meters that can be asked. */
export function asked(store: Store, catalog: Catalog, attribution: Attribution = attributionOf()): Asked {
  const meter = catalog.meters[0]?.key ?? "usage";
  return {
    store,
    catalog,
    attribution,
    take: async (...events) => void (await ingest(store, catalog, events, 0)),
    ask: (question = {}) =>
      queryMeter(store, catalog, attribution, {
        meter,
        window: null,
        zone: "UTC",
        groupBy: [],
        fill: false,
        ...question,
      }),
  };
}
