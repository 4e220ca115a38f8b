import { createServer as createHttpServer } from "node:http";
import { join } from "node:path";
import { Writable } from "node:stream";

import express from "express";

import { createCapture } from "../../dist/capture/capture.js";
import { planCapture } from "../../dist/core/capture-plan.js";
import { createServer, meter } from "../../dist/index.js";
import { openJournal } from "../../dist/journal/journal.js";
import { loadConfig } from "../../dist/runtime/load-config.js";
import { systemClock, systemRandom } from "../../dist/runtime/system.js";
import { ANSWER, COMPANY_OF_KEY, CONFIG, tokensUsed } from "./requests.js";

/** A peer: `middleware` is what goes in front of the app, `settle` waits for its background work. */
const PEERS = {
  bare: async () => null,
  again: async () => null,
  noop: async () => ({ middleware: (_request, _response, next) => next() }),
  meterbook: async ({ folder }) => {
    const middleware = meter({
      config: CONFIG,
      db: join(folder, "meter.db"),
      identifyCompany: (request) => request.company,
    });
    return { middleware, settle: () => middleware.flush(), close: () => middleware.close() };
  },
  journal: async ({ folder }) => openJournalOnly(folder, systemClock),
  moesif: async ({ collectorUrl }) => {
    const { default: moesif } = await import("moesif-nodejs");
    const middleware = moesif({
      applicationId: "a-text-of-the-length-that-an-application-id-has-to-have-at-least",
      logBody: true,
      identifyUser: () => undefined,
      identifyCompany: (request) => request.company,
      getSessionToken: (request) => request.headers.authorization,
      baseUri: collectorUrl,
    });
    // It sends a full batch after 10 ms, and says nothing when it is done.
    return { middleware, settle: () => new Promise((resolve) => setTimeout(resolve, 60)) };
  },
  morgan: async () => {
    const { default: morgan } = await import("morgan");
    return { middleware: morgan("combined", { stream: nowhere() }) };
  },
  pino: async () => {
    const { default: pinoHttp } = await import("pino-http");
    return { middleware: pinoHttp({}, nowhere()) };
  },
};

/**
 * Opens a variant, `<server>-<peer>`: `http` is plain node:http, `express` stock Express 5, `fast` Express 5 under
 * meterbook's createServer.
 */
export async function openVariant(name, surroundings) {
  const [kind, peerName] = name.split("-");
  const peer = await PEERS[peerName](surroundings);
  const server = SERVERS[kind](peer?.middleware);
  // Connections rest while other variants have their turn.
  server.keepAliveTimeout = 0;
  return { server, settle: async () => peer?.settle?.(), close: async () => peer?.close?.() };
}

const SERVERS = {
  http: (middleware) => createHttpServer(middleware === undefined ? plainChat : withMiddleware(middleware)),
  express: (middleware) => createHttpServer(expressApp(middleware)),
  fast: (middleware) => createServer(expressApp(middleware)),
};

/** Capture and a real journal on disk without the worker: what the request thread does, and the background sync. */
export function openJournalOnly(folder, clock) {
  const { settings } = loadConfig({ config: CONFIG, directory: folder, env: {} });
  const journal = openJournal({
    root: join(folder, "meter.db-journals"),
    durability: "process",
    clock: systemClock,
    random: systemRandom,
    onProblem: ({ error }) => notify(error.code, error.message),
  });
  const capture = createCapture({
    options: { identifyCompany: (request) => request.company },
    plan: planCapture({ meters: settings.meters, fields: settings.fields, identityPaths: settings.identity.companyId }),
    identity: { companyId: settings.identity.companyId, userId: settings.identity.userId },
    recorder: {
      durable: false,
      append: (json) => journal.append(json),
      appendDurable: (json, done) => journal.appendDurable(json, done),
    },
    clock,
    nextId: () => journal.nextId(),
    sessionKey: systemRandom(32),
    notify,
  });
  return {
    middleware: (request, response, next) => {
      capture.observe(request, response);
      next();
    },
    settle: () => journal.sync(),
    close: () => journal.close(),
    stats: () => journal.stats(),
  };
}

function expressApp(middleware) {
  const app = express();
  if (middleware !== undefined) app.use(middleware);
  app.use((request, _response, next) => {
    identify(request);
    next();
  });
  app.get("/chat", (_request, response) => {
    response.set("X-Tokens-Used", String(tokensUsed()));
    response.json(ANSWER);
  });
  return app;
}

function withMiddleware(middleware) {
  return (request, response) => middleware(request, response, () => plainChat(request, response));
}

/** Serves the chat API on plain node:http. */
export function plainChat(request, response) {
  identify(request);
  const body = JSON.stringify(ANSWER);
  response.setHeader("Content-Type", "application/json; charset=utf-8");
  response.setHeader("Content-Length", Buffer.byteLength(body));
  response.setHeader("X-Tokens-Used", String(tokensUsed()));
  response.end(body);
}

/** Authentication as a server does it; the bare app does it too. */
function identify(request) {
  request.company = COMPANY_OF_KEY.get(request.headers.authorization);
}

function nowhere() {
  return new Writable({ decodeStrings: false, write: (_chunk, _encoding, done) => done() });
}

function notify(code, text) {
  process.stderr.write(`${code}: ${text}\n`);
}
