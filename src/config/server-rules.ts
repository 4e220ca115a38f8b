import type { Place } from "./place.ts";
import type { ServerSettings } from "./settings.ts";

/** The HTTP service of a configuration that says nothing of it. */
export const DEFAULT_SERVER: ServerSettings = {
  host: "127.0.0.1",
  port: 8888,
  basePath: "",
  tokenSecret: null,
  metrics: false,
  limits: {
    bodyBytes: 5 * 1024 * 1024,
    inflatedBytes: 20 * 1024 * 1024,
    batchEvents: 1_000,
    eventBytes: 256 * 1024,
    requestsPerSecond: null,
    bytesPerSecond: null,
  },
};

const SECRET_BYTES_MIN = 32;

/** The HTTP service; its defaults without `server`. */
export function checkServer(root: Place, context: { readonly mayHoldSecret: boolean }): ServerSettings {
  const server = root.child("server");
  if (server === null) return DEFAULT_SERVER;
  const metrics = server.child("metrics")?.node;
  return {
    host: checkHost(server.child("host")),
    port: numberAt(server.child("port")) ?? DEFAULT_SERVER.port,
    basePath: checkBasePath(server.child("basePath")),
    tokenSecret: checkSecret(server.child("tokenSecret"), context.mayHoldSecret),
    metrics: metrics?.kind === "scalar" && metrics.value === true,
    limits: checkLimits(server.child("limits")),
  };
}

function checkHost(place: Place | null): string {
  const text = place?.text() ?? DEFAULT_SERVER.host;
  if (!/^[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?$|^[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*$/.test(text))
    place?.error('expected an address or a host name such as "127.0.0.1", without a port', { showReceived: true });
  return text;
}

function checkBasePath(place: Place | null): string {
  const text = place?.text() ?? "";
  if (/^(\/[A-Za-z0-9._~-]+)*$/.test(text)) return text;
  const mended = `/${text.replaceAll(/^\/+|\/+$/g, "")}`;
  place?.error('expected a path such as "/meterbook", without a slash at its end', {
    suggestion: /^(\/[A-Za-z0-9._~-]+)+$/.test(mended) ? mended : undefined,
    showReceived: true,
  });
  return "";
}

function checkSecret(place: Place | null, mayHoldSecret: boolean): string | null {
  const text = place?.text() ?? null;
  if (place === null || text === null) return null;
  const isWritten = place.node.kind === "scalar" && !place.node.substituted;
  if (isWritten && !mayHoldSecret) place.error("a secret does not stand in this file; write ${METER_TOKEN_SECRET}");
  else if (new TextEncoder().encode(text).byteLength < SECRET_BYTES_MIN)
    place.error(`the secret is shorter than ${SECRET_BYTES_MIN} bytes; \`openssl rand -base64 32\` makes one`);
  return text;
}

function checkLimits(place: Place | null): ServerSettings["limits"] {
  const at = (name: string): number | null => numberAt(place?.child(name) ?? null);
  const standard = DEFAULT_SERVER.limits;
  const bodyBytes = at("bodyBytes") ?? standard.bodyBytes;
  const inflatedBytes = at("inflatedBytes") ?? Math.max(standard.inflatedBytes, bodyBytes);
  const eventBytes = at("eventBytes") ?? Math.min(standard.eventBytes, inflatedBytes);
  if (inflatedBytes < bodyBytes)
    place
      ?.child("inflatedBytes")
      ?.error(`expected at least bodyBytes (${bodyBytes}), since a body need not be compressed`, {
        showReceived: true,
      });
  if (eventBytes > inflatedBytes)
    place
      ?.child("eventBytes")
      ?.error(`expected at most inflatedBytes (${inflatedBytes}), or no event could be so large`, {
        showReceived: true,
      });
  return {
    bodyBytes,
    inflatedBytes,
    batchEvents: at("batchEvents") ?? standard.batchEvents,
    eventBytes,
    requestsPerSecond: at("requestsPerSecond"),
    bytesPerSecond: at("bytesPerSecond"),
  };
}

function numberAt(place: Place | null): number | null {
  return place?.node.kind === "scalar" && typeof place.node.value === "number" ? place.node.value : null;
}
