import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";

import { expect, it } from "vitest";

import { Meterbook } from "../../src/client/index.ts";
import { diskJournal } from "../../src/client/node/index.ts";
import { journalFolder, writersIn } from "./journal-rig.ts";
import { startStandIn } from "./service-stand-in.ts";

const dist = fileURLToPath(new URL("../../dist", import.meta.url));
const program = fileURLToPath(new URL("tracking-program.js", import.meta.url));
const ROUNDS = 6;

/** Runs the program until it has printed so many ids, kills it with -9, and answers all ids that it printed whole. */
async function killAfter(directory: string, url: string, printed: number): Promise<readonly string[]> {
  const child = spawn(process.execPath, [program, dist, directory, url], { stdio: ["ignore", "pipe", "inherit"] });
  let text = "";
  child.stdout.setEncoding("latin1");
  child.stdout.on("data", (chunk: string) => {
    text += chunk;
    if (text.split("\n").length > printed) child.kill("SIGKILL");
  });
  await new Promise((resolve) => child.once("close", resolve));
  expect(child.signalCode).toBe("SIGKILL");
  return text.split("\n").slice(0, -1);
}

it("kill -9 under load: whatever track() resolved for reaches the service, once", async () => {
  expect(existsSync(`${dist}/client/node/index.js`), "run `npm run build` first").toBe(true);
  const service = await startStandIn();
  const directory = journalFolder();
  const printed: string[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    // Every second time the service loses answers meanwhile: what it has, it is sent again.
    service.always = round % 2 === 0 ? null : { kind: "drop_after" };
    printed.push(...(await killAfter(directory, service.url, 1 + ((round * 397) % 1_500))));
  }
  service.always = null;
  const client = new Meterbook({ url: service.url, journal: diskJournal({ directory }) });
  expect(await client.flush()).toBe(true);
  await client.close();
  const stored = new Set(service.events.map(({ id }) => id));
  expect(printed.filter((id) => !stored.has(id))).toEqual([]);
  expect(printed.length).toBeGreaterThan(1_500);
  expect(stored.size).toBe(service.stored.size);
  // At most the line that was written and not yet printed, each round.
  expect(stored.size - printed.length).toBeLessThanOrEqual(ROUNDS);
  expect(client.stats().failed).toBe(0);
  expect(writersIn(directory)).toEqual([]);
}, 120_000);
