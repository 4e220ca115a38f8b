import { readFileSync, writeSync } from "node:fs";
import { dirname } from "node:path";
import { pathToFileURL } from "node:url";

// Closes periods and hands records over until there is nothing left; it is ended from outside, or ends by itself.
const [, , dist = "", config = "", begin = ""] = process.argv;
/** @type {(path: string) => Promise<any>} */
const load = (path) => import(pathToFileURL(`${dist}/${path}`).href);
/** @type {typeof import("../../src/config/index.ts")} */
const { readConfig } = await load("config/index.js");
/** @type {typeof import("../../src/runtime/node.ts")} */
const { openNode } = await load("runtime/node.js");
/** @type {typeof import("../../src/runtime/period-cycle.ts")} */
const { periodCycle } = await load("runtime/period-cycle.js");

const text = readFileSync(config, "utf8");
const reading = readConfig({ text, format: "yaml", file: null, env: {}, directory: dirname(config) });
if (!reading.ok) throw new Error(JSON.stringify(reading.problems));
// The clock of the test, from the program's start on.
const clock = { now: () => Math.floor(Number(begin) + performance.now()) };
const { settings } = reading;
const node = await openNode({ settings, clock, ownWriter: null, adoptFrom: null, onNotice: () => undefined });
writeSync(1, "ready\n");
for (;;) {
  const round = await periodCycle(node, { clock });
  if (round === null) throw new Error("expected something to close");
  const { closing, emission } = round;
  if (!closing.isBehind && closing.final === 0 && emission.delivered === 0) break;
}
await node.close();
