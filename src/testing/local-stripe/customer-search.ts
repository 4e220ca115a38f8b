import { customerObject } from "./customers.ts";
import { pageLimit } from "./pages.ts";
import { onlyParameters, optionalText, requiredText } from "./parameters.ts";
import type { Call, Route } from "./route.ts";
import { parseSearchQuery } from "./search-query.ts";
import { nowMs, type CustomerFields, type CustomerRecord, type LocalState } from "./state.ts";
import { refuse } from "./stripe-refusal.ts";

export const customerSearchRoutes: readonly Route[] = [
  {
    operation: "customer.search",
    method: "GET",
    path: "/v1/customers/search",
    right: "rak_customer_read",
    behaviours: [
      "customer_search.query",
      "customer_search.case",
      "customer_search.lag",
      "customer_search.stale",
      "customer_search.pages",
    ],
    answer: searchCustomers,
  },
];

function searchCustomers({ state, form }: Call): object {
  if (!state.settings.searchAvailable) {
    refuse("customer_search.unavailable", { message: "The search feature is not available for your account." });
  }
  onlyParameters(form, ["query", "limit", "page"]);
  const limit = pageLimit(form);
  const matches = parseSearchQuery(requiredText(form, "query"));
  const found = [...state.customers.values()].toReversed().filter((record) => {
    const indexed = indexedFields(state, record);
    return !record.deleted && indexed !== null && matches(indexed);
  });
  const page = optionalText(form, "page");
  const start = page === null ? 0 : found.findIndex((record) => pageToken(record) === page);
  if (start < 0) {
    refuse("customer_search.pages", { message: "Invalid page token.", param: "page" });
  }
  const next = found[start + limit];
  return {
    object: "search_result",
    data: found.slice(start, start + limit).map((record) => customerObject(state, record)),
    has_more: next !== undefined,
    next_page: next === undefined ? null : pageToken(next),
    url: "/v1/customers/search",
  };
}

/** The customer as the search index knows it; null = not yet. */
function indexedFields(state: LocalState, record: CustomerRecord): CustomerFields | null {
  const seenUpTo = nowMs(state) - state.lags.searchMs;
  return record.versions.findLast((version) => version.at <= seenUpTo)?.fields ?? null;
}

function pageToken(record: CustomerRecord): string {
  return Buffer.from(`from:${record.id}`).toString("base64url");
}
