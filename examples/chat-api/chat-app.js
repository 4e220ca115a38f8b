// @ts-check
import express from "express";
import { meter } from "meterbook";
import { authenticate, companyOf, userOf } from "./accounts.js";
import { complete, completeInPieces } from "./openai-client.js";

const MODEL = "gpt-3.5-turbo";

/**
 * The chat API. `metering` is the middleware, for `flush()` and `close()`.
 * @param {{ openaiUrl: string, config?: string, meterOptions?: import("meterbook").MeterOptions }} options
 */
export function createChatApp({ openaiUrl, config, meterOptions = {} }) {
  const metering = meter({
    ...(config === undefined ? {} : { config }),
    identifyCompany: companyOf,
    identifyUser: userOf,
    getMetadata: () => ({ model: MODEL }),
    ...meterOptions,
  });
  const app = express();
  app.use(metering);
  app.use(express.json());
  app.get("/health", (_req, res) => {
    res.json({ ok: true });
  });
  app.use(authenticate);

  app.post("/chat", limit, async (req, res) => {
    const { text, usage } = await complete({ openaiUrl, model: MODEL, message: messageOf(req) });
    res.set("X-Tokens-Used", String(usage.total_tokens));
    res.json({ response: text });
  });

  app.post("/chat/stream", limit, async (req, res) => {
    const gone = new AbortController();
    res.on("close", () => gone.abort());
    res.type("text/event-stream");
    try {
      const question = { openaiUrl, model: MODEL, message: messageOf(req), signal: gone.signal };
      for await (const { content, usage } of completeInPieces(question)) {
        if (usage !== null) {
          req.meter.add("tokens", usage.total_tokens);
        } else {
          res.write(`data: ${JSON.stringify({ content })}\n\n`);
        }
      }
      res.end("data: [DONE]\n\n");
    } catch (error) {
      // The client hung up: the model was told so, and its usage never came. The event is kept and held.
      if (!gone.signal.aborted) {
        throw error;
      }
    }
  });
  return { app, metering };
}

/** @param {express.Request} req */
function messageOf(req) {
  /** @type {{ message?: unknown } | undefined} */
  const body = req.body;
  return typeof body?.message === "string" ? body.message : "";
}

/**
 * Stands for a rate limiter: says no when the caller asks for it, so that a 429 can be seen not to be billed.
 * @param {express.Request} req
 * @param {express.Response} res
 * @param {express.NextFunction} next
 */
function limit(req, res, next) {
  if (req.get("x-demo-limit") === undefined) {
    next();
  } else {
    res.status(429).json({ error: "Too many requests." });
  }
}
