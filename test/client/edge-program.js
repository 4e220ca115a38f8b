import { readFileSync } from "node:fs";
import vm from "node:vm";

// Runs the client in a context that has only what edge runtimes have too: `node --experimental-vm-modules <this> <dist> <url>`.
const [, , dist = "", url = ""] = process.argv;
const { fetch, URL, AbortController, crypto, setTimeout, clearTimeout, queueMicrotask } = globalThis;
const context = vm.createContext({ fetch, URL, AbortController, crypto, setTimeout, clearTimeout, queueMicrotask });

/** @type {Map<string, vm.SourceTextModule>} */
const modules = new Map();
/** @param {string} address */
function load(address) {
  const known = modules.get(address);
  if (known !== undefined) return known;
  const text = readFileSync(new URL(address), "utf8");
  const made = new vm.SourceTextModule(text, { context, identifier: address });
  modules.set(address, made);
  return made;
}

const client = load(new URL(`file://${dist}/client/index.js`).href);
await client.link((specifier, from) => load(new URL(specifier, from.identifier).href));
await client.evaluate();
/** @type {typeof import("../../src/client/index.ts")} */
const { Meterbook } = Object(client.namespace);
const meterbook = new Meterbook({ url, apiKey: "mb_key" });
const { status } = await meterbook.track({ type: "llm", subject: "acme", data: { tokens: 5n } });
meterbook.trackSoon({ type: "llm", subject: "acme" });
const isSent = await meterbook.close();
process.stdout.write(`${status} ${String(isSent)} ${vm.runInContext("typeof process", context)}\n`);
