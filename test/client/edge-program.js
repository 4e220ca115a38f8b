import { pathToFileURL } from "node:url";

// Runs the client where there is nothing of Node: only what edge runtimes have too.
const [, , dist = "", url = ""] = process.argv;
const { write } = process.stdout;
const print = write.bind(process.stdout);
/** @type {typeof import("../../src/client/index.ts")} */
const { Meterbook } = await import(pathToFileURL(`${dist}/client/index.js`).href);
for (const name of ["process", "Buffer", "require", "global", "setImmediate"]) Reflect.deleteProperty(globalThis, name);

const client = new Meterbook({ url, apiKey: "mb_key" });
const { status } = await client.track({ type: "llm", subject: "acme", data: { tokens: 5n } });
client.trackSoon({ type: "llm", subject: "acme" });
print(`${status} ${String(await client.close())} ${typeof globalThis.process}\n`);
