import type { IncomingMessage } from "node:http";

import { MeterbookError } from "../core/errors.ts";
import { headerLines } from "./credentials.ts";

/** Headers that only a proxy writes: behind one, everybody seems to call from this machine. */
const PROXY_HEADERS = ["forwarded", "via", "x-forwarded-for", "x-forwarded-host", "x-real-ip"];

/** 127.0.0.0/8 and ::1, also as IPv4 within IPv6. */
function isLoopbackAddress(address: string | undefined): boolean {
  return address === "::1" || /^(::ffff:)?127\.\d{1,3}\.\d{1,3}\.\d{1,3}$/i.test(address ?? "");
}

/** Whether a host name can only mean this machine; its port does not matter. */
export function isLoopbackName(host: string): boolean {
  const name = host.replace(/:\d{1,5}$/, "").toLowerCase();
  return name === "localhost" || name === "[::1]" || isLoopbackAddress(name);
}

/**
 * Whether a call without a key comes from a program of this machine itself: by its addresses, without a proxy, by a name
 * that no other site can have (DNS rebinding), and not out of another site's page.
 */
export function isOwnMachine(request: IncomingMessage): boolean {
  const { socket, headers } = request;
  if (!isLoopbackAddress(socket.remoteAddress) || !isLoopbackAddress(socket.localAddress)) return false;
  // Proxies that add no header speak HTTP/1.0 by default; programs have not for decades.
  if (request.httpVersion === "1.0") return false;
  if (PROXY_HEADERS.some((name) => headerLines(request, name).length > 0)) return false;
  const [host, ...otherHosts] = headerLines(request, "host");
  if (host === undefined || otherHosts.length > 0 || !isLoopbackName(host)) return false;
  const { origin } = headers;
  if (origin !== undefined && origin !== `http://${host}` && origin !== `https://${host}`) return false;
  const [site = "none"] = headerLines(request, "sec-fetch-site");
  return site === "none" || site === "same-origin";
}

/** METER_SERVER_UNSAFE where a service would listen to others without any key. */
export function assertSafe(address: string, hasKeys: boolean): void {
  if (hasKeys || isLoopbackName(address) || address === "::1") return;
  throw new MeterbookError(
    "METER_SERVER_UNSAFE",
    `Without a key, everybody who reaches ${address} could read and write usage.`,
    {
      remedy: "Make a key first: meterbook keys create --name admin --scope admin; or listen at 127.0.0.1.",
    },
  );
}
