import type { HoldReason } from "../core/event.ts";
import { valueFaults, valueTexts } from "./added-values.ts";
import { NO_BODY, requestBodyText, responseBodyText } from "./body-text.ts";
import type { CaptureContext } from "./context.ts";
import type { ExchangeFacts } from "./describe.ts";
import type { Exchange } from "./exchange.ts";
import { emptyHeaders, keptRequestHeaders, withTrailers, type HeaderValue } from "./header-values.ts";
import type { Answer, HookAnswers, MetadataText } from "./hooks.ts";
import { NOBODY, type Identity } from "./identity.ts";
import type { KeptFields, KeptHeaders } from "./kept-fields.ts";
import { keptParams, keptQuery } from "./query-values.ts";
import { queryOf, routeOf, type RouteFacts } from "./route.ts";

/** The facts of an exchange that has come to its end, reduced to `kept`. */
export function factsOf(
  context: CaptureContext,
  exchange: Exchange,
  answers: HookAnswers,
  id: string,
  kept: KeptFields,
): ExchangeFacts {
  const { request, response, values } = exchange;
  const time = context.clock.now();
  const routed = (exchange.routed ??= routedNow(exchange));
  const requestBody =
    kept.requestBody === null ? NO_BODY : requestBodyText(request, exchange.requestTap, kept.requestBody);
  const responseBody =
    kept.responseBody === null ? NO_BODY : responseBodyText(response, exchange.responseTap, kept.responseBody);
  const company = identityNow(answers.company);
  const user = identityNow(answers.user);
  const metadata = answers.metadata.kind === "now" ? answers.metadata.value : NO_METADATA;
  let faults: Faults | null = exchange.faults === null ? null : { ...exchange.faults };
  if (values !== null) for (const [place, reason] of valueFaults(values)) faults = noted(faults, place, reason);
  faults = noted(faults, "company", company.kind === "fault" ? company.reason : null);
  faults = noted(faults, "user", user.kind === "fault" ? user.reason : null);
  faults = noted(faults, "metadata", metadata.kind === "fault" ? metadata.reason : null);
  faults = noted(faults, "request.body", requestBody.fault);
  faults = noted(faults, "response.body", responseBody.fault);
  return {
    id,
    time,
    company: company.kind === "known" ? company.id : null,
    user: user.kind === "known" ? user.id : null,
    method: request.method ?? "GET",
    path: exchange.path,
    route: hintedRoute(exchange) ?? routed.route,
    requestHeaders: keptRequestHeaders(request.rawHeaders, kept.requestHeaders),
    query: keptQuery(queryOf(request), kept.query),
    params: keptParams(routed.params, kept.params),
    requestBody,
    status: statusOf(exchange),
    responseHeaders: withTrailers(
      kept === context.kept ? exchange.responseHeaders : reduced(exchange.responseHeaders, kept.responseHeaders),
      exchange.trailers,
      kept.responseHeaders,
    ),
    responseBody,
    metadata: metadata.kind === "text" ? metadata.json : null,
    values: values === null ? null : valueTexts(values),
    durationMs: Math.max(0, time - exchange.startedAt),
    isAborted: exchange.isAborted,
    sessionToken: answers.sessionToken,
    apiVersion: answers.apiVersion,
    faults,
  };
}

/** The same facts without bodies and metadata, and with the faults that say so. */
export function withoutBulk(context: CaptureContext, facts: ExchangeFacts): ExchangeFacts {
  const faults = [
    ["request.body", context.plan.requestBody.kind !== "none"] as const,
    ["response.body", context.plan.responseBody.kind !== "none"] as const,
    ["metadata", facts.metadata !== null] as const,
  ].reduce<Faults | null>(
    (all, [place, isLost]) => noted(all, place, isLost ? "body_too_large" : null),
    facts.faults === null ? null : { ...facts.faults },
  );
  return { ...facts, requestBody: NO_BODY, responseBody: NO_BODY, metadata: null, faults };
}

/** Facts of an exchange whose others could not be gathered: each place that a meter may read says so. */
export function leastFacts(context: CaptureContext, exchange: Exchange, id: string): ExchangeFacts {
  const time = context.clock.now();
  return {
    id,
    time,
    company: null,
    user: null,
    method: exchange.request.method ?? "GET",
    path: exchange.path,
    route: null,
    requestHeaders: null,
    query: null,
    params: null,
    requestBody: NO_BODY,
    status: statusOf(exchange),
    responseHeaders: null,
    responseBody: NO_BODY,
    metadata: null,
    values: null,
    durationMs: Math.max(0, time - exchange.startedAt),
    isAborted: exchange.isAborted,
    sessionToken: null,
    apiVersion: null,
    faults: Object.fromEntries(UNGATHERED.map((place) => [place, "capture_failed"])),
  };
}

const UNGATHERED = [
  "company",
  "user",
  "request.route",
  "request.headers",
  "request.query",
  "request.params",
  "request.body",
  "response.headers",
  "response.body",
  "metadata",
  "values",
];

/** The status that was sent; null when the client left before there was one. */
function statusOf({ status, isAborted, response }: Exchange): number | null {
  return status ?? (response.headersSent || !isAborted ? response.statusCode : null);
}

/** The route as it is known now; a hint that a handler gave wins later. */
export function routedNow(exchange: Exchange): RouteFacts {
  return routeOf(exchange.request, exchange.path, exchange.response.statusCode);
}

/** What a handler wrote to `req.meter.route`; anything but a text is no hint. */
function hintedRoute(exchange: Exchange): string | null {
  const hint: unknown = exchange.meter.route;
  return typeof hint === "string" && hint !== "" ? hint : null;
}

const NO_METADATA: MetadataText = { kind: "none" };

function identityNow(answer: Answer<Identity>): Identity {
  return answer.kind === "now" ? answer.value : NOBODY;
}

/** Headers that were read with a wider list than `kept`. */
function reduced(headers: Exchange["responseHeaders"], kept: KeptHeaders): Record<string, HeaderValue> | null {
  if (headers === null || kept.isAll) return headers;
  let named: Record<string, HeaderValue> | null = null;
  for (const name of kept.named) {
    const value = headers[name];
    if (value !== undefined) (named ??= emptyHeaders())[name] = value;
  }
  return named;
}

type Faults = Record<string, HoldReason>;

/** Adds a reason, where there is one; the first for a place stays. */
function noted(faults: Faults | null, place: string, reason: HoldReason | null): Faults | null {
  if (reason === null) return faults;
  const all = faults ?? {};
  all[place] ??= reason;
  return all;
}
