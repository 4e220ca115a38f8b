// @ts-check
import { createServer } from "node:http";

/** @typedef {{ model: string, messages: { role: string, content: string }[], max_tokens?: number, stream?: boolean }} Completion */

const ANSWERS = [
  "I help new customers find their way. Which plan did you have in mind?",
  "Gladly. First we look at your team, then at what it needs, and only then at the price.",
  "That is a good question; the short answer is yes.",
];
const CHUNK_PAUSE_MS = 10;

/**
 * A server that answers POST /v1/chat/completions as OpenAI does, with `usage`, streamed or not. The same messages get
 * the same answer and the same number of tokens, so that a bill can be checked by hand.
 */
export function createOpenAiStandIn() {
  return createServer((request, response) => {
    respond(request, response).catch((/** @type {Error} */ error) => response.destroy(error));
  });
}

/**
 * @param {import("node:http").IncomingMessage} request
 * @param {import("node:http").ServerResponse} response
 */
async function respond(request, response) {
  let text = "";
  for await (const chunk of request) {
    text += chunk;
  }
  if (request.method !== "POST" || request.url !== "/v1/chat/completions") {
    response.writeHead(404).end();
    return;
  }
  /** @type {Completion} */
  const asked = JSON.parse(text);
  const tokens = words(answerTo(asked)).slice(0, asked.max_tokens ?? Infinity);
  const usage = usageOf(asked, tokens);
  if (asked.stream === true) {
    await stream(response, asked.model, tokens, usage);
  } else {
    const message = { role: "assistant", content: tokens.join("") };
    const choices = [{ index: 0, message, finish_reason: "stop" }];
    response.writeHead(200, { "content-type": "application/json" });
    response.end(
      JSON.stringify({ id: "chatcmpl-local", object: "chat.completion", model: asked.model, choices, usage }),
    );
  }
}

/**
 * Words with the space before them, and punctuation: one token each.
 * @param {string} text
 * @returns {string[]}
 */
function words(text) {
  return text.match(/\s*(?:[\p{L}\p{N}]+|[^\s\p{L}\p{N}])/gu) ?? [];
}

/** @param {Completion} asked */
function answerTo({ messages }) {
  const question = messages.at(-1)?.content ?? "";
  return ANSWERS[question.length % ANSWERS.length] ?? "";
}

/**
 * @param {Completion} asked
 * @param {readonly string[]} answer
 */
function usageOf({ messages }, answer) {
  // Each message costs four tokens more than its text, as OpenAI's own chat format does.
  const prompt = messages.reduce((sum, { content }) => sum + words(content).length + 4, 0);
  return { prompt_tokens: prompt, completion_tokens: answer.length, total_tokens: prompt + answer.length };
}

/**
 * Server-sent events, the last one with the usage (OpenAI: stream_options.include_usage).
 * @param {import("node:http").ServerResponse} response
 * @param {string} model
 * @param {readonly string[]} answer
 * @param {object} usage
 */
async function stream(response, model, answer, usage) {
  response.writeHead(200, { "content-type": "text/event-stream" });
  const chunk = (/** @type {object} */ more) =>
    response.write(
      `data: ${JSON.stringify({ id: "chatcmpl-local", object: "chat.completion.chunk", model, ...more })}\n\n`,
    );
  for (const content of answer) {
    if (response.destroyed) {
      return;
    }
    chunk({ choices: [{ index: 0, delta: { content } }] });
    await new Promise((resolve) => setTimeout(resolve, CHUNK_PAUSE_MS));
  }
  chunk({ choices: [], usage });
  response.end("data: [DONE]\n\n");
}
