import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

import { expect, it } from "vitest";

import { startStandIn } from "./service-stand-in.ts";

const dist = fileURLToPath(new URL("../../dist", import.meta.url));
const program = fileURLToPath(new URL("edge-program.js", import.meta.url));

it("runs where there is nothing of Node", async () => {
  const service = await startStandIn();
  const { stdout } = await promisify(execFile)(process.execPath, [
    "--experimental-vm-modules",
    program,
    dist,
    service.url,
  ]);
  expect(stdout).toBe("stored true undefined\n");
  expect(service.stored.size).toBe(2);
}, 60_000);
