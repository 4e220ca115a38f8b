import type { IncomingMessage } from "node:http";

/** The parts of a request that Express and its router add; all of them absent elsewhere. */
export interface RoutedRequest extends IncomingMessage {
  readonly app?: unknown;
  readonly originalUrl?: string;
  readonly baseUrl?: string;
  readonly route?: { readonly path?: unknown };
  readonly params?: unknown;
}

export interface RouteFacts {
  readonly route: string | null;
  readonly params: Readonly<Record<string, string>>;
}

/** Path of a request target without query and fragment; of an absolute URL only its path. */
export function pathOf(request: RoutedRequest): string {
  const target = request.originalUrl ?? request.url ?? "/";
  const start = target.charCodeAt(0) === SLASH ? 0 : startOfPath(target);
  let end = start;
  while (end < target.length) {
    const code = target.charCodeAt(end);
    if (code === QUESTION_MARK || code === HASH) break;
    end++;
  }
  return start === end ? "/" : target.slice(start, end);
}

/** The query of a request target, without the question mark. */
export function queryOf(request: RoutedRequest): string {
  const target = request.originalUrl ?? request.url ?? "";
  const mark = target.indexOf("?");
  return mark === -1 ? "" : (target.slice(mark + 1).split("#", 1)[0] ?? "");
}

/**
 * Route template and parameters, read when the head of the response is written: mount path as sent, then the route's own
 * template. Null when an Express app knew no route. Servers without a router have the path as route.
 */
export function routeOf(request: RoutedRequest, path: string, status: number): RouteFacts {
  const template = request.route?.path;
  if (template === undefined) {
    const isExpress = typeof request.app === "function";
    return { route: isExpress ? null : path, params: paramsOf(request.params) };
  }
  const base = request.baseUrl ?? "";
  const params = paramsOf(request.params);
  const text = templateText(template, path, base);
  const isIntact = base !== "" || text === path || status < 400 || Object.keys(params).length > 0;
  return isIntact ? { route: joined(base, text), params } : recovered(text, path);
}

const SLASH = 47;
const HASH = 35;
const QUESTION_MARK = 63;

function startOfPath(target: string): number {
  const scheme = /^[a-z][a-z0-9+.-]*:\/\/[^/?#]*/i.exec(target);
  return scheme === null ? 0 : scheme[0].length;
}

/** A route of several templates gives the one that fits the path, else its first; a pattern gives its source. */
function templateText(template: unknown, path: string, base: string): string {
  if (typeof template === "string") return template;
  if (!Array.isArray(template)) return String(template);
  const texts = template.map(String);
  const fitting = texts.find((text) => fit(text.split("/"), path.slice(base.length).split("/")) !== null);
  return fitting ?? texts[0] ?? "";
}

function joined(base: string, template: string): string {
  return template === "/" && base !== "" ? base : base + template;
}

function paramsOf(params: unknown): Readonly<Record<string, string>> {
  if (typeof params !== "object" || params === null) return {};
  const texts: Record<string, string> = {};
  for (const [name, value] of Object.entries(params)) {
    if (typeof value === "string") texts[name] = value;
    else if (Array.isArray(value)) texts[name] = value.join("/");
  }
  return texts;
}

/**
 * A handler of a mounted router that throws loses `baseUrl` and the parameters before the error is answered
 * (https://github.com/pillarjs/router: `restore`). Both are found again by laying the template over the path's tail.
 */
function recovered(template: string, path: string): RouteFacts {
  const wanted = template.split("/");
  const sent = (path.length > 1 && path.endsWith("/") ? path.slice(0, -1) : path).split("/");
  const isPlain = wanted.every((segment) => /^(?::\w+|[^:*(){}?+\\[\]]*)$/.test(segment));
  if (!isPlain) return { route: fitsStart(wanted, sent) ? template : null, params: {} };
  // `/` splits into two empty segments: under a mount it stands for the mount path itself.
  const own = template === "/" ? [] : wanted.slice(1);
  const tail = sent.slice(sent.length - own.length);
  const params = own.length > sent.length - 1 ? null : fit(own, tail);
  if (params === null) return { route: template, params: {} };
  return { route: joined(sent.slice(0, sent.length - own.length).join("/"), template), params };
}

/** Whether the plain segments before the first pattern are those that the path begins with. */
function fitsStart(wanted: readonly string[], sent: readonly string[]): boolean {
  for (const [at, segment] of wanted.entries()) {
    if (/[:*(){}?+\\[\]]/.test(segment)) return true;
    if (segment.toLowerCase() !== sent[at]?.toLowerCase()) return false;
  }
  return true;
}

/** Parameters of a plain template laid over as many segments; null when they do not fit. */
function fit(template: readonly string[], sent: readonly string[]): Record<string, string> | null {
  if (template.length !== sent.length) return null;
  const params: Record<string, string> = {};
  for (const [at, segment] of template.entries()) {
    const value = sent[at] ?? "";
    if (segment.startsWith(":")) {
      if (value === "") return null;
      params[segment.slice(1)] = decoded(value);
    } else if (segment.toLowerCase() !== value.toLowerCase()) {
      return null;
    }
  }
  return params;
}

function decoded(segment: string): string {
  try {
    return decodeURIComponent(segment);
  } catch {
    return segment;
  }
}
