import { compileCatalog, type Catalog } from "../../../src/core/catalog.ts";
import type { MeterDefinition } from "../../../src/core/meter.ts";
import type { EventResult, IngestCall, IngestReply } from "../../../src/engine/intake/accepted.ts";
import type { Attribution, Customer } from "../../../src/engine/registry/customer.ts";
import { storedCatalog } from "../../../src/engine/ingest/catalog-versions.ts";
import type { Store } from "../../../src/engine/ports.ts";
import { START, tokens } from "../world.ts";

const BATCH = "application/cloudevents-batch+json";

/** A meter over events that are sent: the sum of data.tokens by model, of the type `prompt`. */
export const sentTokens: MeterDefinition = {
  ...tokens,
  eventType: "prompt",
  match: [],
  value: "data.tokens",
  groupBy: { model: "data.model" },
  allowNegative: false,
};

export function sentCatalog(...definitions: readonly MeterDefinition[]): Catalog {
  return compileCatalog({
    versions: definitions.map((definition) => ({ definition, version: 1, effectiveFrom: 0 })),
    fields: {},
    unknownIdentity: "hold",
  });
}

/** Puts meters into a store, and gives the catalog that the store knows. */
export async function adopted(store: Store, ...definitions: readonly MeterDefinition[]): Promise<Catalog> {
  const known = await store.meterVersions();
  const versions = definitions.map((definition) => ({ definition, version: 1, effectiveFrom: 0 }));
  await store.addMeterVersions(versions, known.length);
  return storedCatalog(await store.meterVersions());
}

/** Customers by the subjects that each owns at all times; its id is `c_` and its key. */
export function owners(subjectsByKey: Readonly<Record<string, readonly string[]>>, revision = 0): Attribution {
  const customers = Object.entries(subjectsByKey).map(([key, subjects]): Customer => {
    return {
      id: `c_${key}`,
      key,
      name: key,
      description: null,
      currency: null,
      primaryEmail: null,
      metadata: {},
      subjects: subjects.map((subject) => ({ subject, from: null, to: null })),
      extra: {},
      createdAt: START,
      updatedAt: START,
      deletedAt: null,
    };
  });
  const ownerOf = (subject: string): Customer | null =>
    customers.find(({ subjects }) => subjects.some((span) => span.subject === subject)) ?? null;
  const find = (idOrKey: string): Customer | null =>
    customers.find(({ id, key }) => id === idOrKey || key === idOrKey) ?? null;
  return {
    revision,
    companyOf: (subject) => ownerOf(subject)?.key ?? subject,
    customerOf: (company, subject) => find(company) ?? ownerOf(subject),
    turnsOf: () => [],
    companiesOf: ({ id, key, subjects }) => [
      id,
      ...(key === null ? [] : [key]),
      ...subjects.map((each) => each.subject),
    ],
    find,
    endOf: () => null,
    customers: () => customers,
  };
}

/** Members of a CloudEvent that a test wants otherwise; undefined leaves one out. */
export type EventParts = Readonly<Record<string, unknown>>;

/** A CloudEvent that is right, in its JSON form. */
export function cloudEvent(parts: EventParts = {}): Record<string, unknown> {
  return {
    specversion: "1.0",
    id: "e1",
    source: "app",
    type: "prompt",
    subject: "ann",
    time: new Date(START).toISOString(),
    data: { tokens: 5, model: "small" },
    ...parts,
  };
}

/** A call that carries a list of events. */
export function batchCall(events: readonly EventParts[], options: Partial<IngestCall> = {}): IngestCall {
  return textCall(JSON.stringify(events), options);
}

/** A call with this body, as it is. */
export function textCall(text: string, options: Partial<IngestCall> = {}): IngestCall {
  return { body: new TextEncoder().encode(text), contentType: BATCH, headers: {}, atomic: false, ...options };
}

/** The results of a reply that has some. */
export function resultsOf(reply: IngestReply | undefined): readonly EventResult[] {
  if (reply?.kind !== "results") throw new Error(`no results: ${JSON.stringify(reply)}`);
  return reply.results;
}

export function statusesOf(reply: IngestReply | undefined): readonly string[] {
  return resultsOf(reply).map(({ status }) => status);
}
