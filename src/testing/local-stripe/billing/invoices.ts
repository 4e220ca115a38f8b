import { createdFilter } from "../created-filter.ts";
import { listPage, PAGE_PARAMETERS } from "../pages.ts";
import { onlyParameters, optionalChoice, optionalText } from "../parameters.ts";
import type { Call, Route } from "../route.ts";
import { nowSeconds, type LocalState } from "../state.ts";
import { refuse, refuseMissing } from "../stripe-refusal.ts";
import { finalizeInvoice } from "./invoice-lifecycle.ts";
import { invoiceObject, invoiceStatus, lineObject } from "./invoice-object.ts";
import type { InvoiceRecord, SubscriptionRecord } from "./records.ts";
import { invoiceLines } from "./usage.ts";

const PATH = "/v1/invoices";
const PREVIEW_NOT_KEPT =
  "automatic_tax currency customer_account customer_details discounts invoice_items issuer on_behalf_of preview_mode schedule schedule_details subscription_details".split(
    " ",
  );

export const invoiceRoutes: readonly Route[] = [
  {
    operation: "invoice.create_preview",
    method: "POST",
    path: `${PATH}/create_preview`,
    right: "rak_invoice_write",
    behaviours: ["invoice.preview"],
    answer: ({ state, form }) => {
      onlyParameters(form, ["customer", "subscription"], PREVIEW_NOT_KEPT);
      return invoiceObject(state, upcomingInvoice(state, previewedSubscription(state, form)));
    },
  },
  {
    operation: "invoice.list",
    method: "GET",
    path: PATH,
    right: "rak_invoice_read",
    behaviours: ["invoice.list", "page.cursor"],
    answer: ({ state, form }) => {
      const kept = ["customer", "status", "subscription", "created"];
      onlyParameters(form, [...PAGE_PARAMETERS, ...kept], ["collection_method", "customer_account", "due_date"]);
      const customer = optionalText(form, "customer");
      const subscription = optionalText(form, "subscription");
      const status = optionalChoice(form, "status", ["void", "draft", "open", "paid", "uncollectible"]);
      const wanted = createdFilter(form);
      const fits = (invoice: InvoiceRecord): boolean =>
        (customer === null || invoice.subscription.customer === customer) &&
        (subscription === null || invoice.subscription.id === subscription) &&
        (status === null || invoiceStatus(invoice) === status) &&
        wanted(invoice.created);
      const entries = [...state.invoices.values()].toReversed().map((invoice) => ({
        id: invoice.id,
        object: fits(invoice) ? invoiceObject(state, invoice) : null,
      }));
      return listPage(entries, form, PATH, "invoice");
    },
  },
  {
    operation: "invoice.retrieve",
    method: "GET",
    path: `${PATH}/:id`,
    right: "rak_invoice_read",
    behaviours: ["invoice.retrieve", "invoice.line_quantity"],
    answer: (call) => {
      onlyParameters(call.form, []);
      return invoiceObject(call.state, pathInvoice(call));
    },
  },
  {
    operation: "invoice.lines",
    method: "GET",
    path: `${PATH}/:id/lines`,
    right: "rak_invoice_read",
    behaviours: ["invoice.lines", "page.cursor"],
    answer: (call) => {
      const { state, form } = call;
      onlyParameters(form, PAGE_PARAMETERS);
      const invoice = pathInvoice(call);
      const entries = invoiceLines(state, invoice).map((line) => ({
        id: line.id,
        object: lineObject(state, invoice, line),
      }));
      return listPage(entries, form, `${PATH}/${invoice.id}/lines`, "line item");
    },
  },
  {
    operation: "invoice.finalize",
    method: "POST",
    path: `${PATH}/:id/finalize`,
    right: "rak_invoice_write",
    behaviours: ["invoice.finalize"],
    answer: (call) => {
      onlyParameters(call.form, [], ["auto_advance"]);
      const invoice = pathInvoice(call);
      if (invoice.finalizedAt !== null) {
        refuse("invoice.already_finalized", {
          message: "This invoice is already finalized, you can't re-finalize a non-draft invoice.",
          code: "invoice_not_editable",
        });
      }
      finalizeInvoice(call.state, invoice);
      return invoiceObject(call.state, invoice);
    },
  },
];

/** The period that runs, as an invoice that nothing keeps. */
function upcomingInvoice(state: LocalState, subscription: SubscriptionRecord): InvoiceRecord {
  const { id, periodStart, periodEnd, trialEnd } = subscription;
  return {
    id: `upcoming_in_${id.slice(4)}`,
    created: nowSeconds(state),
    subscription,
    periodStart,
    periodEnd,
    isTrial: trialEnd !== null && periodStart < trialEnd,
    reason: "upcoming",
    finalizedAt: null,
    finalizesAt: periodEnd,
    lines: null,
  };
}

/** The subscription that is asked for, or the customer's only or newest one. */
function previewedSubscription(state: LocalState, form: Call["form"]): SubscriptionRecord {
  const id = optionalText(form, "subscription");
  const customer = optionalText(form, "customer");
  const running = [...state.subscriptions.values()].filter(({ endedAt }) => endedAt === null);
  const found =
    id === null
      ? running.findLast((subscription) => subscription.customer === customer)
      : running.find((subscription) => subscription.id === id);
  return (
    found ??
    refuse("invoice.no_upcoming", {
      status: 404,
      message: `No upcoming invoices for ${id === null ? "customer" : "subscription"}: ${id ?? customer ?? ""}`,
      code: "invoice_upcoming_none",
    })
  );
}

function pathInvoice({ state, path }: Call): InvoiceRecord {
  const id = path["id"] ?? "";
  return state.invoices.get(id) ?? refuseMissing("invoice.not_found", "invoice", id);
}
