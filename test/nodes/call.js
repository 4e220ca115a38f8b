// @ts-check
import { spawn } from "node:child_process";
import process from "node:process";

/**
 * Runs a program to its end; its exit code and all that it wrote, in order.
 * @param {string} command
 * @param {readonly string[]} args
 * @param {{ cwd: string, env?: Readonly<Record<string, string>> }} options
 * @returns {Promise<{ code: number | null, output: string }>}
 */
export function call(command, args, { cwd, env = {} }) {
  return new Promise((done, reject) => {
    const child = spawn(command, args, {
      cwd,
      env: { ...process.env, ...env },
      stdio: ["ignore", "pipe", "pipe"],
    });
    /** @type {Buffer[]} */
    const chunks = [];
    child.stdout.on("data", (/** @type {Buffer} */ chunk) => chunks.push(chunk));
    child.stderr.on("data", (/** @type {Buffer} */ chunk) => chunks.push(chunk));
    child.on("error", reject);
    child.on("close", (code) => done({ code, output: Buffer.concat(chunks).toString() }));
  });
}
