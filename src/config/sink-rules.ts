import { checkDuration } from "./duration-rules.ts";
import { checkName, KEY_RULE } from "./name-rules.ts";
import type { Place } from "./place.ts";
import { booleanAt, textAt } from "./place-values.ts";
import type { CustomerMeterSettings, SinkSettings } from "./settings.ts";
import { absolutePath } from "./storage-rules.ts";

const LATENESS_MS = 5 * 60_000;

/** When final records are made, and where they go. */
export function checkSinks(
  records: Place | null,
  options: { readonly directory: string; readonly mayHoldKey: boolean },
): Pick<CustomerMeterSettings, "latenessMs" | "sinks"> {
  const sinks = (records?.child("sinks")?.children() ?? []).flatMap((sink) => checkSink(sink, options) ?? []);
  return {
    latenessMs: checkDuration(records?.child("lateness") ?? null, LATENESS_MS, { mayBeZero: true }),
    sinks,
  };
}

function checkSink(
  sink: Place,
  { directory, mayHoldKey }: { readonly directory: string; readonly mayHoldKey: boolean },
): SinkSettings | null {
  checkName(sink, "a sink's name", KEY_RULE);
  const kind = textAt(sink, "kind");
  if (kind === "file") {
    refuse(sink, ["url", "secret", "allowPrivate"], "file");
    const path = textAt(sink, "path");
    if (path === null) sink.error("a file needs its path", { onKey: true, kind: "key" });
    const format = textAt(sink, "format") === "csv" ? "csv" : "ndjson";
    return path === null ? null : { name: sink.key, kind, path: absolutePath(path, directory), format };
  }
  if (kind !== "webhook") return null;
  refuse(sink, ["path", "format"], "webhook");
  const url = checkUrl(sink);
  const secret = checkSecret(sink, mayHoldKey);
  return url === null
    ? null
    : { name: sink.key, kind, url, secret, allowPrivate: booleanAt(sink, "allowPrivate") ?? false };
}

function refuse(sink: Place, keys: readonly string[], kind: string): void {
  for (const key of keys) sink.child(key)?.error(`a ${kind} has no ${key}`, { onKey: true });
}

/** Loopback by number or by its reserved name: no other machine can stand behind it. */
const LOOPBACK = /^(?:localhost|127(?:\.\d+){3}|\[::1\])$/;

function checkUrl(sink: Place): string | null {
  const place = sink.child("url");
  const text = place?.text() ?? null;
  if (place === null || text === null) {
    if (place === null) sink.error("a webhook needs its url", { onKey: true, kind: "key" });
    return null;
  }
  const url = URL.canParse(text) ? new URL(text) : null;
  const isPlain = url?.protocol === "http:" && LOOPBACK.test(url.hostname);
  if (url === null || (url.protocol !== "https:" && !isPlain))
    place.error("expected an https URL, or http on this machine", { showReceived: true });
  else if (url.username !== "" || url.password !== "")
    place.error("a URL with a password stands in logs; the signature says who calls");
  else if (url.hash !== "") place.error("the part behind # is never sent", { showReceived: true });
  return text;
}

const SECRET_LENGTH_MIN = 16;

function checkSecret(sink: Place, mayHoldKey: boolean): string | null {
  const place = sink.child("secret");
  const text = place?.text()?.trim() ?? "";
  if (place === null || text === "") {
    sink.warn("there is no secret: calls are not signed, and anybody can make them", { onKey: true });
    return null;
  }
  const isWritten = place.node.kind === "scalar" && !place.node.substituted;
  if (isWritten && !mayHoldKey) place.error("a secret does not stand in this file; write ${RECORDS_SECRET}");
  else if (text.length < SECRET_LENGTH_MIN) place.error(`a secret has at least ${SECRET_LENGTH_MIN} characters`);
  return text;
}
