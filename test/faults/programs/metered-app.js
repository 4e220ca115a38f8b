// An app as a user would write it, which the fault tests kill, starve and ask. Arguments: the configuration, node | express.
import { createServer } from "node:http";

import express from "express";
import { meter } from "meterbook";

const [, , config = "", kind = "node"] = process.argv;

/** @param {object} message */
const say = (message) => void process.send?.(message);
/** @param {{ url?: string | undefined }} request */
const questionOf = (request) => new URL(String(request.url), "http://localhost").searchParams;
/** @param {{ code?: unknown }} facts @param {string} text */
const notice = (facts, text) => say({ kind: "notice", code: String(facts.code), text });

/** @param {{ metadata?: unknown }} event */
const tellRecorded = ({ metadata }) => say({ kind: "recorded", token: Object(metadata).token });

const metering = meter({
  config,
  durability: process.env["APP_DURABILITY"] === "power" ? "power" : "process",
  report: process.env["APP_REPORTS"] !== "no",
  identifyCompany: (request) => questionOf(request).get("company"),
  getMetadata: (request) => {
    const pad = Number(questionOf(request).get("pad") ?? 0);
    return { token: questionOf(request).get("token"), ...(pad === 0 ? {} : { pad: "x".repeat(pad) }) };
  },
  // Whoever listens learns of each event whether its line was written.
  ...(process.env["APP_TELLS"] === "yes" ? { onEvent: tellRecorded } : {}),
  logger: { debug: () => undefined, info: () => undefined, warn: notice, error: notice },
});

/** @type {import("node:http").RequestListener} */
const answer = (request, response) => {
  response.setHeader("X-Tokens-Used", String(questionOf(request).get("tokens")));
  response.end("ok");
};
const app = express();
const server = createServer(
  kind === "express"
    ? app.use(metering).get("/chat", answer)
    : (request, response) => {
        metering(request, response);
        answer(request, response);
      },
);
server.keepAliveTimeout = 60_000;
server.listen(0, "127.0.0.1", () => {
  const address = server.address();
  say({ kind: "listening", port: typeof address === "object" ? address?.port : 0 });
});

/** @param {"stats" | "flush" | "close"} ask */
async function obey(ask) {
  if (ask === "flush") await metering.flush({ timeoutMs: 20_000 });
  if (ask !== "close") return;
  server.close();
  server.closeAllConnections();
  await metering.close({ timeoutMs: 20_000 });
}

process.on("message", (/** @type {{ call: number, ask: "stats" | "flush" | "close" }} */ { call, ask }) => {
  /** @param {string | null} error */
  const reply = (error) => say({ kind: "answer", call, stats: metering.stats(), error });
  obey(ask).then(
    () => reply(null),
    (/** @type {unknown} */ error) => reply(String(error)),
  );
});
