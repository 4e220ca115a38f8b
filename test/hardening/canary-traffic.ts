import { connect } from "node:net";
import { once } from "node:events";

import { secretOf, type SecretPlace } from "./canary.ts";

type Place = (place: SecretPlace) => string;
const s: Place = secretOf;

/** One request as its bytes. `leaves`: the client goes away after the first bytes of the answer. */
interface Sent {
  readonly head: readonly string[];
  readonly body?: string;
  readonly leaves?: boolean;
}

const basic = Buffer.from(`me:${s("basic-password")}`).toString("base64");
const json = "Content-Type: application/json";

/** Headers that carry secrets in every request. */
const HEADERS: readonly string[] = [
  "Host: x",
  "X-Company: acme",
  `Proxy-Authorization: Basic ${basic}`,
  `Cookie: session=${s("cookie-session")}; theme=${s("cookie-other")}`,
  `X-Api-Key: ${s("x-api-key")}`,
  `Api-Key: ${s("api-key")}`,
  `X-Auth-Token: ${s("x-auth-token")}`,
  `X-CSRF-Token: ${s("x-csrf-token")}`,
  `Stripe-Signature: t=1,v1=${s("stripe-signature")}`,
  `X-Amz-Security-Token: ${s("x-amz-security-token")}`,
  `X-Session: ${s("session-token")}`,
];

/** Headers that no deny-list can know; they are kept only where an operator asks for all headers. */
const UNKNOWN_HEADERS: readonly string[] = [
  `X-Own-Secret: ${s("x-own-secret")}`,
  `X-Forwarded-User: ${s("x-forwarded-user")}`,
  `Referer: http://x/login?token=${s("referer-query")}`,
  `User-Agent: agent/${s("user-agent")}`,
];

const BODIES: readonly (readonly [string, string])[] = [
  [
    json,
    `{"words":3,"password":"${s("body-password")}","a":{"b":{"secret":"${s("body-nested")}"}},"list":["${s("body-list")}"]}`,
  ],
  [json, `{"words":3,"token":"${s("body-broken-json")}"`],
  [json, `{"words":3,"pad":"${"x".repeat(150_000)}","token":"${s("body-too-large")}"}`],
  ["Content-Type: application/x-www-form-urlencoded", `password=${s("body-form")}`],
  ["Content-Type: text/plain", `password ${s("body-text")}`],
];

function requests(knowsAll: boolean): Sent[] {
  const base = [...HEADERS, ...(knowsAll ? UNKNOWN_HEADERS : [])];
  const authorization = `Authorization: Bearer ${s("authorization")}`;
  const query = `model=gpt&token=${s("query-token")}&a[b][secret]=${s("query-nested")}`;
  const posts = BODIES.map(([type, body]) => ({
    head: [`POST /chat?${query} HTTP/1.1`, ...base, authorization, type],
    body,
  }));
  const gets = [
    "/moved",
    "/trailer",
    "/breaks",
    `/nowhere?token=${s("query-of-404")}`,
    `http://me:${s("user-of-absolute-url")}@x/moved?token=${s("query-of-absolute-url")}`,
  ].map((target) => ({ head: [`GET ${target} HTTP/1.1`, ...base, authorization] }));
  // Each hook is told of once: the first of identifyCompany's failures is the one whose text reaches the log.
  const failing = ["answer-too-long", "company", "company-promise", "user", "metadata", "skip"].map((hook) => ({
    head: ["GET /moved HTTP/1.1", ...base, `X-Fails: hook-${hook}`],
  }));
  const skipped = { head: ["GET /moved HTTP/1.1", ...base, `X-Skip: ${s("hook-skip-answer")}`] };
  const trailer = {
    head: ["POST /chat HTTP/1.1", ...base, json, "Transfer-Encoding: chunked", "Trailer: X-Sum"],
    body: `b\r\n{"words":3}\r\n0\r\nX-Sum: ${s("request-trailer")}\r\n\r\n`,
  };
  const aborted = { head: [`GET /hangs?token=${s("query-of-aborted")} HTTP/1.1`, ...base], leaves: true };
  return [...posts, ...gets, skipped, ...failing, trailer, aborted];
}

/** Sends every request, one after another; answers how many. `knowsAll` adds headers that no deny-list can know. */
export async function sendAll(port: number, knowsAll: boolean): Promise<number> {
  const all = requests(knowsAll);
  for (const { head, body = "", leaves = false } of all) {
    const isChunked = head.some((line) => line.startsWith("Transfer-Encoding"));
    const length = isChunked ? [] : [`Content-Length: ${Buffer.byteLength(body)}`];
    const socket = connect(port, "127.0.0.1");
    socket.on("error", () => undefined);
    socket.write([...head, ...length, "Connection: close", "", body].join("\r\n"));
    if (leaves) socket.once("data", () => socket.destroy());
    else socket.resume();
    await once(socket, "close");
  }
  return all.length;
}
