import type { ListedEvent } from "../../../src/engine/intake/accepted.ts";
import type { MeterView } from "../../../src/engine/meters/meter-view.ts";
import type { Customer } from "../../../src/engine/registry/customer.ts";
import type { MeterAnswer, MeterRow } from "../../../src/engine/usage/meter-question.ts";

export const T0 = Date.UTC(2025, 0, 1);

/** A meter of the API. */
export function meterView(part: Partial<MeterView> = {}): MeterView {
  return {
    id: "01METER",
    key: "tokens_total",
    name: "Tokens",
    description: null,
    unit: null,
    eventType: "prompt",
    match: [],
    aggregate: "sum",
    value: "data.tokens",
    groupBy: { model: "data.model" },
    eventFrom: null,
    report: false,
    metadata: {},
    origin: "api",
    version: 1,
    createdAt: T0,
    updatedAt: T0,
    deletedAt: null,
    ...part,
  };
}

/** A row of usage over one hour. */
export function meterRow(part: Partial<MeterRow> = {}): MeterRow {
  return { from: T0, to: T0 + 3_600_000, value: "1", events: 1, subject: null, customer: null, group: {}, ...part };
}

/** An answer of these rows. */
export function meterAnswer(...rows: readonly MeterRow[]): MeterAnswer {
  return { meter: "tokens_total", from: null, to: null, rows, eventsRead: 0 };
}

/** A customer with a key and no subjects. */
export function customer(part: Partial<Customer> = {}): Customer {
  return {
    id: "01CUSTOMER",
    key: "acme",
    name: "Acme",
    description: null,
    currency: null,
    primaryEmail: null,
    metadata: {},
    subjects: [],
    extra: {},
    createdAt: T0,
    updatedAt: T0,
    deletedAt: null,
    ...part,
  };
}

/** An event that was sent over HTTP. */
export function listedEvent(part: Partial<ListedEvent> = {}): ListedEvent {
  return {
    seq: 1,
    event: {
      source: "app",
      id: "e1",
      type: "prompt",
      time: T0,
      recordedAt: T0 + 5,
      company: "acme",
      user: null,
      subject: "s1",
      data: { tokens: 3 },
      attributes: { datacontenttype: "application/json" },
    },
    subject: "s1",
    customer: null,
    voided: false,
    storedAt: T0 + 9,
    problems: [],
    ...part,
  };
}
