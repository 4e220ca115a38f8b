// An app as a user would write it, with secrets in everything that it and its clients say; the test looks where they go.
// @ts-check
import process from "node:process";

import express from "express";

import { meter } from "meterbook";

/** @type {{ capture: "metered" | "headers" | "all", secrets: Record<string, string> }} */
const { capture, secrets } = JSON.parse(String(process.argv[2]));
/** @param {string} place */
const secret = (place) => secrets[place] ?? "";

/**
 * @param {import("node:http").IncomingMessage} request
 * @param {string} hook
 */
function mayFail(request, hook) {
  if (request.headers["x-fails"] === hook) throw new Error(`could not read ${secret(hook)}`);
}

const metering = meter({
  capture,
  debug: true,
  stripHeaders: ["x-response-secret"],
  identifyCompany: (request) => {
    mayFail(request, "hook-company");
    if (request.headers["x-fails"] === "hook-company-promise")
      return Promise.reject(new Error(`no ${secret("hook-company-promise")}`));
    if (request.headers["x-fails"] === "hook-answer-too-long") return secret("hook-answer-too-long").repeat(30);
    return request.headers["x-company"];
  },
  identifyUser: (request) => mayFail(request, "hook-user"),
  getMetadata: (request) => mayFail(request, "hook-metadata"),
  getSessionToken: (request) => request.headers["x-session"],
  skip: (request) => {
    mayFail(request, "hook-skip");
    // A mistake that is easily made: a header in place of a decision.
    return /** @type {boolean} */ (/** @type {unknown} */ (request.headers["x-skip"] ?? false));
  },
});

const app = express();
app.set("env", "test");
app.use(metering);
app.use(express.json({ limit: "5mb" }), express.urlencoded({ extended: true }), express.text());
app.post("/chat", (_request, response) => {
  response.setHeader("X-Tokens-Used", "7");
  response.setHeader("Set-Cookie", [`sid=${secret("set-cookie-first")}; HttpOnly`, `t=${secret("set-cookie-second")}`]);
  response.setHeader("WWW-Authenticate", `Bearer realm="${secret("www-authenticate")}"`);
  response.setHeader("X-Response-Secret", secret("x-response-secret"));
  response.json({
    access_token: secret("answer-token"),
    usage: { total_tokens: 5, trace: { key: secret("answer-nested") } },
  });
});
app.get("/moved", (_request, response) => response.redirect(`/to?code=${secret("location-query")}`));
app.get("/trailer", (_request, response) => {
  response.writeHead(200, { Trailer: "X-Signature" });
  response.write("a");
  response.addTrailers({ "X-Signature": secret("response-trailer") });
  response.end();
});
app.get("/breaks", () => {
  throw new Error(`handler knew ${secret("handler-error")}`);
});
app.get("/hangs", (_request, response) => response.write("first"));

const server = app.listen(0, "127.0.0.1", () => {
  const address = server.address();
  process.send?.({ port: typeof address === "object" ? address?.port : 0 });
});
async function flush() {
  await metering.flush({ timeoutMs: 20_000 });
  process.send?.("flushed");
}

async function close() {
  server.close();
  server.closeAllConnections();
  await metering.close({ timeoutMs: 20_000 });
  process.exit(0);
}

process.on("message", (order) => void (order === "flush" ? flush() : close()));
