import { recordAccountEvent } from "./account-events.ts";
import { endSubscriptionsOf } from "./billing/subscription-lifecycle.ts";
import { createdFilter } from "./created-filter.ts";
import type { FormTree } from "./form-body.ts";
import { changedMetadata } from "./metadata.ts";
import { listPage, PAGE_PARAMETERS } from "./pages.ts";
import { onlyParameters, optionalText, unsettableText } from "./parameters.ts";
import type { Call, Route } from "./route.ts";
import {
  isLive,
  nextId,
  nowMs,
  nowSeconds,
  type CustomerFields,
  type CustomerRecord,
  type LocalState,
} from "./state.ts";
import { refuseMissing } from "./stripe-refusal.ts";

const KEPT = ["email", "name", "description", "phone", "metadata"] as const;
const NOT_KEPT =
  "address balance business_name cash_balance default_source individual_name invoice_prefix invoice_settings next_invoice_sequence payment_method preferred_locales shipping source tax tax_exempt tax_id_data test_clock validate".split(
    " ",
  );
const NO_FIELDS: CustomerFields = { email: null, name: null, description: null, phone: null, metadata: {} };
const TEXT_LENGTHS = { email: 512, name: 256, description: 5000, phone: 20 } as const;

export const customerRoutes: readonly Route[] = [
  {
    operation: "customer.create",
    method: "POST",
    path: "/v1/customers",
    right: "rak_customer_write",
    behaviours: ["customer.create"],
    answer: (call) => {
      const fields = changedFields(NO_FIELDS, call.form);
      const record = addCustomer(call.state, fields);
      tell(call, "customer.created", record);
      return customerObject(call.state, record);
    },
  },
  {
    operation: "customer.list",
    method: "GET",
    path: "/v1/customers",
    right: "rak_customer_read",
    behaviours: ["customer.list", "page.cursor"],
    answer: listCustomers,
  },
  {
    operation: "customer.retrieve",
    method: "GET",
    path: "/v1/customers/:id",
    right: "rak_customer_read",
    behaviours: ["customer.retrieve", "customer.retrieve_deleted"],
    answer: ({ state, path, form }) => {
      onlyParameters(form, []);
      const record =
        state.customers.get(path["id"] ?? "") ?? refuseMissing("customer.not_found", "customer", path["id"] ?? "");
      return record.deleted ? deletedObject(record) : customerObject(state, record);
    },
  },
  {
    operation: "customer.update",
    method: "POST",
    path: "/v1/customers/:id",
    right: "rak_customer_write",
    behaviours: ["customer.update", "customer.change_deleted"],
    answer: (call) => {
      const record = liveCustomer(call);
      record.fields = changedFields(record.fields, call.form);
      record.versions.push({ at: nowMs(call.state), fields: record.fields });
      tell(call, "customer.updated", record);
      return customerObject(call.state, record);
    },
  },
  {
    operation: "customer.delete",
    method: "DELETE",
    path: "/v1/customers/:id",
    right: "rak_customer_write",
    behaviours: ["customer.delete", "customer.change_deleted"],
    answer: (call) => {
      const record = liveCustomer(call);
      removeCustomer(call.state, record, call);
      return deletedObject(record);
    },
  },
];

/** An object of the API with its id; the other fields are as Stripe documents them. */
export interface StripeObject {
  readonly id: string;
  readonly [field: string]: unknown;
}

/** Adds a customer as a POST would, without one. */
export function addCustomer(state: LocalState, fields: Partial<CustomerFields>, id?: string): CustomerRecord {
  const whole = { ...NO_FIELDS, ...fields };
  const record: CustomerRecord = {
    id: id ?? nextId(state, "cus"),
    created: nowSeconds(state),
    fields: whole,
    deleted: false,
    versions: [{ at: nowMs(state), fields: whole }],
  };
  state.customers.set(record.id, record);
  return record;
}

/** Deletes a customer and ends all its subscriptions. Without a call its owner did it in the dashboard. */
export function removeCustomer(
  state: LocalState,
  record: CustomerRecord,
  call?: Pick<Call, "requestId" | "idempotencyKey">,
): void {
  endSubscriptionsOf(state, record.id);
  const request = { id: call?.requestId ?? null, idempotencyKey: call?.idempotencyKey ?? null };
  recordAccountEvent(state, "customer.deleted", customerObject(state, record), request);
  record.deleted = true;
}

/** The JSON of a customer as the API answers it. */
export function customerObject(state: LocalState, record: CustomerRecord): StripeObject {
  const { email, name, description, phone, metadata } = record.fields;
  return {
    id: record.id,
    object: "customer",
    address: null,
    balance: 0,
    created: record.created,
    currency: null,
    default_source: null,
    delinquent: false,
    description,
    discount: null,
    email,
    invoice_settings: { custom_fields: null, default_payment_method: null, footer: null, rendering_options: null },
    livemode: isLive(state),
    metadata,
    name,
    phone,
    preferred_locales: [],
    shipping: null,
    tax_exempt: "none",
    test_clock: null,
  };
}

function deletedObject(record: CustomerRecord): object {
  return { id: record.id, object: "customer", deleted: true };
}

function listCustomers({ state, form }: Call): object {
  onlyParameters(form, [...PAGE_PARAMETERS, "created", "email"], ["test_clock"]);
  const email = optionalText(form, "email", { lengthMax: TEXT_LENGTHS.email });
  const wanted = createdFilter(form);
  const entries = [...state.customers.values()].toReversed().map((record) => {
    const listed = !record.deleted && wanted(record.created) && (email === null || record.fields.email === email);
    return { id: record.id, object: listed ? customerObject(state, record) : null };
  });
  return listPage(entries, form, "/v1/customers", "customer");
}

function changedFields(before: CustomerFields, form: FormTree): CustomerFields {
  onlyParameters(form, KEPT, NOT_KEPT);
  const text = (name: "email" | "name" | "description" | "phone"): string | null => {
    const sent = unsettableText(form, name, TEXT_LENGTHS[name]);
    return sent === undefined ? before[name] : sent;
  };
  return {
    email: text("email"),
    name: text("name"),
    description: text("description"),
    phone: text("phone"),
    metadata: changedMetadata(before.metadata, form),
  };
}

function liveCustomer({ state, path }: Call): CustomerRecord {
  const record = state.customers.get(path["id"] ?? "");
  return record === undefined || record.deleted
    ? refuseMissing("customer.not_found", "customer", path["id"] ?? "")
    : record;
}

function tell(call: Call, type: string, record: CustomerRecord): void {
  const { state, requestId, idempotencyKey } = call;
  recordAccountEvent(state, type, customerObject(state, record), { id: requestId, idempotencyKey });
}
