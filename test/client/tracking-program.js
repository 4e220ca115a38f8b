import { writeSync } from "node:fs";
import { pathToFileURL } from "node:url";

// Tracks events as fast as it can and prints each id once track() has resolved; it is ended from outside.
const [, , dist = "", directory = "", url = ""] = process.argv;
/** @type {typeof import("../../src/client/index.ts")} */
const { Meterbook } = await import(pathToFileURL(`${dist}/client/index.js`).href);
/** @type {typeof import("../../src/client/node/index.ts")} */
const { diskJournal } = await import(pathToFileURL(`${dist}/client/node/index.js`).href);

const client = new Meterbook({
  url,
  journal: diskJournal({ directory }),
  batch: { waitMs: 5 },
  retries: 0,
  onError: () => undefined,
});
for (let n = 0; ; n++) {
  const { id } = await client.track({ type: "llm", subject: "acme", data: { n } });
  writeSync(1, `${id}\n`);
  // Calls of the sender have their turn.
  if (n % 50 === 0) await new Promise((resolve) => setImmediate(resolve));
}
