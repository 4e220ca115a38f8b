// @ts-check

/** @typedef {{ total_tokens: number }} Usage */

const SYSTEM = "You are a customer onboarding agent.";
const MAX_TOKENS = 150;

/**
 * Asks for a whole answer.
 * @param {{ openaiUrl: string, model: string, message: string }} question
 * @returns {Promise<{ text: string, usage: Usage }>}
 */
export async function complete(question) {
  const answered = await post(question, {});
  /** @type {{ choices: { message: { content: string } }[], usage: Usage }} */
  const completion = JSON.parse(await answered.text());
  return { text: completion.choices[0]?.message.content.trim() ?? "", usage: completion.usage };
}

/**
 * Asks for an answer piece by piece; the usage comes last.
 * @param {{ openaiUrl: string, model: string, message: string, signal: AbortSignal }} question
 * @returns {AsyncGenerator<{ content: string, usage: Usage | null }>}
 */
export async function* completeInPieces(question) {
  const answered = await post(question, { stream: true, stream_options: { include_usage: true } });
  let rest = "";
  for await (const text of answered.body?.pipeThrough(new TextDecoderStream()) ?? []) {
    const events = (rest + text).split("\n\n");
    rest = events.pop() ?? "";
    for (const event of events) {
      if (event.startsWith("data: {")) {
        /** @type {{ choices: { delta: { content?: string } }[], usage?: Usage | null }} */
        const chunk = JSON.parse(event.slice("data: ".length));
        yield { content: chunk.choices[0]?.delta.content ?? "", usage: chunk.usage ?? null };
      }
    }
  }
}

/**
 * @param {{ openaiUrl: string, model: string, message: string, signal?: AbortSignal }} question
 * @param {object} more
 */
async function post({ openaiUrl, model, message, signal }, more) {
  const messages = [
    { role: "system", content: SYSTEM },
    { role: "user", content: message },
  ];
  const answered = await fetch(`${openaiUrl}/v1/chat/completions`, {
    method: "POST",
    headers: { "content-type": "application/json", authorization: `Bearer ${process.env["OPENAI_API_KEY"] ?? ""}` },
    body: JSON.stringify({ model, messages, max_tokens: MAX_TOKENS, ...more }),
    signal: signal ?? null,
  });
  if (!answered.ok) {
    throw new Error(`The model answered ${String(answered.status)}.`);
  }
  return answered;
}
