import { z } from "zod";

import { MeterbookError } from "../../core/errors.ts";
import { route, type Route, type RouteDefinition } from "../route.ts";
import { problemReply } from "./reply.ts";
import { V3_BASES } from "./v3-pages.ts";

type Method = RouteDefinition<z.ZodType, z.ZodType, z.ZodType>["method"];

/** What OpenMeter's client can call and this release does not have: methods and path, by what it is about. */
const LATER: Readonly<Record<string, readonly string[]>> = {
  "add-ons": [
    "GET POST /api/v1/addons",
    "GET PUT DELETE /api/v1/addons/{addonId}",
    "POST /api/v1/addons/{addonId}/archive",
    "POST /api/v1/addons/{addonId}/publish",
  ],
  apps: [
    "GET /api/v1/apps",
    "POST /api/v1/apps/custom-invoicing/{invoiceId}/draft/synchronized",
    "POST /api/v1/apps/custom-invoicing/{invoiceId}/issuing/synchronized",
    "POST /api/v1/apps/custom-invoicing/{invoiceId}/payment/status",
    "GET PUT DELETE /api/v1/apps/{id}",
    "PUT /api/v1/apps/{id}/stripe/api-key",
    "GET PUT /api/v1/customers/{customerIdOrKey}/apps",
    "DELETE /api/v1/customers/{customerIdOrKey}/apps/{appId}",
    "GET /api/v1/marketplace/listings",
    "GET /api/v1/marketplace/listings/{type}",
    "POST /api/v1/marketplace/listings/{type}/install/apikey",
    "GET /api/v1/marketplace/listings/{type}/install/oauth2",
    "GET /api/v1/marketplace/listings/{type}/install/oauth2/authorize",
  ],
  billing: [
    "GET /api/v1/billing/customers",
    "GET PUT DELETE /api/v1/billing/customers/{customerId}",
    "POST /api/v1/billing/customers/{customerId}/invoices/pending-lines",
    "POST /api/v1/billing/customers/{customerId}/invoices/simulate",
    "GET /api/v1/billing/invoices",
    "POST /api/v1/billing/invoices/invoice",
    "GET PUT DELETE /api/v1/billing/invoices/{invoiceId}",
    "POST /api/v1/billing/invoices/{invoiceId}/advance",
    "POST /api/v1/billing/invoices/{invoiceId}/approve",
    "POST /api/v1/billing/invoices/{invoiceId}/retry",
    "POST /api/v1/billing/invoices/{invoiceId}/snapshot-quantities",
    "POST /api/v1/billing/invoices/{invoiceId}/taxes/recalculate",
    "POST /api/v1/billing/invoices/{invoiceId}/void",
    "GET POST /api/v1/billing/profiles",
    "GET PUT DELETE /api/v1/billing/profiles/{id}",
  ],
  entitlements: [
    "GET /api/v1/customers/{customerIdOrKey}/access",
    "GET /api/v1/customers/{customerIdOrKey}/entitlements/{featureKey}/value",
    "GET /api/v1/entitlements",
    "GET /api/v1/entitlements/{entitlementId}",
    "POST /api/v1/subjects/{subjectIdOrKey}/entitlements",
    "GET POST /api/v1/subjects/{subjectIdOrKey}/entitlements/{entitlementIdOrFeatureKey}/grants",
    "PUT /api/v1/subjects/{subjectIdOrKey}/entitlements/{entitlementIdOrFeatureKey}/override",
    "GET /api/v1/subjects/{subjectIdOrKey}/entitlements/{entitlementIdOrFeatureKey}/value",
    "DELETE /api/v1/subjects/{subjectIdOrKey}/entitlements/{entitlementId}",
    "GET /api/v1/subjects/{subjectIdOrKey}/entitlements/{entitlementId}/history",
    "POST /api/v1/subjects/{subjectIdOrKey}/entitlements/{entitlementId}/reset",
    "GET POST /api/v2/customers/{customerIdOrKey}/entitlements",
    "GET DELETE /api/v2/customers/{customerIdOrKey}/entitlements/{entitlementIdOrFeatureKey}",
    "GET POST /api/v2/customers/{customerIdOrKey}/entitlements/{entitlementIdOrFeatureKey}/grants",
    "GET /api/v2/customers/{customerIdOrKey}/entitlements/{entitlementIdOrFeatureKey}/history",
    "PUT /api/v2/customers/{customerIdOrKey}/entitlements/{entitlementIdOrFeatureKey}/override",
    "POST /api/v2/customers/{customerIdOrKey}/entitlements/{entitlementIdOrFeatureKey}/reset",
    "GET /api/v2/customers/{customerIdOrKey}/entitlements/{entitlementIdOrFeatureKey}/value",
    "GET /api/v2/entitlements",
    "GET /api/v2/entitlements/{entitlementId}",
  ],
  "Stripe customers": [
    "GET PUT /api/v1/customers/{customerIdOrKey}/stripe",
    "POST /api/v1/customers/{customerIdOrKey}/stripe/portal",
  ],
  subscriptions: [
    "GET /api/v1/customers/{customerIdOrKey}/subscriptions",
    "POST /api/v1/subscriptions",
    "GET PATCH DELETE /api/v1/subscriptions/{subscriptionId}",
    "GET POST /api/v1/subscriptions/{subscriptionId}/addons",
    "GET PATCH /api/v1/subscriptions/{subscriptionId}/addons/{subscriptionAddonId}",
    "POST /api/v1/subscriptions/{subscriptionId}/cancel",
    "POST /api/v1/subscriptions/{subscriptionId}/change",
    "POST /api/v1/subscriptions/{subscriptionId}/migrate",
    "POST /api/v1/subscriptions/{subscriptionId}/unschedule-cancelation",
  ],
  "debug metrics": ["GET /api/v1/debug/metrics"],
  features: ["GET POST /api/v1/features", "GET DELETE /api/v1/features/{featureId}"],
  "grants of entitlements": ["GET /api/v1/grants", "DELETE /api/v1/grants/{grantId}", "GET /api/v2/grants"],
  notifications: [
    "GET POST /api/v1/notification/channels",
    "GET PUT DELETE /api/v1/notification/channels/{channelId}",
    "GET /api/v1/notification/events",
    "GET /api/v1/notification/events/{eventId}",
    "POST /api/v1/notification/events/{eventId}/resend",
    "GET POST /api/v1/notification/rules",
    "GET PUT DELETE /api/v1/notification/rules/{ruleId}",
  ],
  plans: [
    "GET POST /api/v1/plans",
    "GET PUT DELETE /api/v1/plans/{planId}",
    "GET POST /api/v1/plans/{planId}/addons",
    "GET PUT DELETE /api/v1/plans/{planId}/addons/{planAddonId}",
    "POST /api/v1/plans/{planId}/archive",
    "POST /api/v1/plans/{planId}/publish",
  ],
  "Stripe checkout": ["POST /api/v1/stripe/checkout/sessions"],
};

/** The same of v3, below its base. */
const V3_LATER: Readonly<Record<string, readonly string[]>> = {
  features: ["GET POST /features", "GET PATCH DELETE /features/{featureId}", "POST /features/{featureId}/cost/query"],
  plans: [
    "GET POST /plans",
    "GET PUT DELETE /plans/{planId}",
    "POST /plans/{planId}/publish",
    "POST /plans/{planId}/archive",
    "GET POST /plans/{planId}/addons",
    "GET PUT DELETE /plans/{planId}/addons/{planAddonId}",
  ],
  "add-ons": [
    "GET POST /addons",
    "GET PUT DELETE /addons/{addonId}",
    "POST /addons/{addonId}/publish",
    "POST /addons/{addonId}/archive",
  ],
  subscriptions: [
    "GET POST /subscriptions",
    "GET /subscriptions/{subscriptionId}",
    "POST /subscriptions/{subscriptionId}/cancel",
    "POST /subscriptions/{subscriptionId}/change",
    "POST /subscriptions/{subscriptionId}/unschedule-cancelation",
  ],
  billing: [
    "GET POST /profiles",
    "GET PUT DELETE /profiles/{profileId}",
    "GET PUT /customers/{customerId}/billing",
    "PUT /customers/{customerId}/billing/app-data",
    "POST /customers/{customerId}/billing/stripe/checkout-sessions",
    "POST /customers/{customerId}/billing/stripe/portal-sessions",
    "GET POST /customers/{customerId}/charges",
    "GET POST /customers/{customerId}/credits/grants",
    "GET /customers/{customerId}/credits/grants/{grantId}",
    "GET /customers/{customerId}/credits/balance",
    "GET /customers/{customerId}/credits/transactions",
    "GET PUT /defaults/tax-codes",
    "GET POST /tax-codes",
    "GET PUT DELETE /tax-codes/{taxCodeId}",
  ],
  entitlements: ["GET /customers/{customerId}/entitlement-access"],
  apps: ["GET /apps", "GET /apps/{appId}"],
  "prices of language models": [
    "GET /llm-cost/prices",
    "GET /llm-cost/prices/{priceId}",
    "GET POST /llm-cost/overrides",
    "DELETE /llm-cost/overrides/{overrideId}",
  ],
};

/** Routes that say what is not part of this release: a bare 404 would look like a mistake of the caller's. */
export const laterRoutes: readonly Route[] = [
  ...routesOf(LATER, ""),
  ...V3_BASES.flatMap((base) => routesOf(V3_LATER, base)),
];

function routesOf(table: Readonly<Record<string, readonly string[]>>, base: string): readonly Route[] {
  return Object.entries(table).flatMap(([topic, lines]) =>
    lines.flatMap((line) => {
      const words = line.split(" ");
      const path = words.at(-1) ?? "";
      return words.slice(0, -1).map((word) => laterRoute(topic, methodOf(word), `${base}${path}`));
    }),
  );
}

function laterRoute(topic: string, method: Method, path: string): Route {
  const names = [...path.matchAll(/\{(\w+)\}/g)].map(([, name = ""]) => [name, z.string()] as const);
  const detail = `This release of meterbook has no ${topic}: it takes in events, meters them and answers for usage.`;
  return route({
    method,
    path,
    access: "read",
    tag: "OpenMeter: not part of this release",
    summary: `Not part of this release: ${topic}`,
    ...(names.length === 0 ? {} : { params: z.object(Object.fromEntries(names)) }),
    answers: { 501: { description: detail } },
    reply: () => Promise.resolve(problemReply({ status: 501, detail, extensions: { topic } })),
  });
}

function methodOf(word: string): Method {
  switch (word) {
    case "GET":
      return "get";
    case "POST":
      return "post";
    case "PUT":
      return "put";
    case "PATCH":
      return "patch";
    case "DELETE":
      return "delete";
    default:
      throw new MeterbookError("METER_OPTION_INVALID", `${word} is no method.`);
  }
}
