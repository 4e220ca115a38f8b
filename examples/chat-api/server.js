// @ts-check
import { fileURLToPath } from "node:url";
import { createChatApp } from "./chat-app.js";
import { createOpenAiStandIn } from "./openai-stand-in.js";

const port = Number(process.env["PORT"] ?? 3000);
const config = fileURLToPath(new URL("meterbook.yaml", import.meta.url));

const standIn = createOpenAiStandIn();
const openaiUrl = process.env["OPENAI_URL"] ?? (await standInUrl());
const { app, metering } = createChatApp({ openaiUrl, config });
const server = app.listen(port, () => {
  const address = server.address();
  const listening = typeof address === "object" && address !== null ? address.port : port;
  console.log(`Chat API on http://127.0.0.1:${String(listening)} (model: ${openaiUrl}). Try:

  curl http://127.0.0.1:${String(listening)}/chat -H 'authorization: Bearer my-chat-key' -H 'content-type: application/json' \\
    -d '{"message": "How are you? What do you do?"}'
`);
});

for (const signal of ["SIGINT", "SIGTERM"]) {
  process.once(signal, () => {
    server.close();
    server.closeAllConnections();
    standIn.close();
    void metering.close();
  });
}

/** @returns {Promise<string>} */
async function standInUrl() {
  await new Promise((resolve) => {
    standIn.listen(0, "127.0.0.1", () => resolve(undefined));
  });
  const address = standIn.address();
  return `http://127.0.0.1:${String(typeof address === "object" && address !== null ? address.port : 0)}`;
}
