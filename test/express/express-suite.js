/**
 * Runs Express's own test suite with every server made by our createServer(). Not part of `npm test`: it needs a checkout
 * of Express with its development dependencies installed.
 *
 *   node test/express/express-suite.js <checkout of express> [built meterbook, default dist]
 */
import { spawnSync } from "node:child_process";
import http from "node:http";
import { createRequire } from "node:module";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";

const [, , checkout, folderBuilt = "dist"] = process.argv;
const builtForSuite = process.env["METERBOOK_BUILT"];

if (builtForSuite !== undefined) patch(builtForSuite);
else if (checkout === undefined) usage();
else process.exitCode = run(resolve(checkout), resolve(folderBuilt));

function usage() {
  console.error("usage: node test/express/express-suite.js <checkout of express> [built meterbook]");
  process.exitCode = 2;
}

/**
 * @param {string} folder
 * @param {string} builtFolder
 */
function run(folder, builtFolder) {
  const load = createRequire(join(folder, "package.json"));
  const { bin } = load("mocha/package.json");
  const mocha = join(dirname(load.resolve("mocha/package.json")), typeof bin === "string" ? bin : bin.mocha);
  const own = fileURLToPath(import.meta.url);
  const files = ["test/", "test/acceptance/"];
  const options = ["--require", own, "--require", "test/support/env", "--reporter", "dot", "--check-leaks", ...files];
  const { status } = spawnSync(process.execPath, [mocha, ...options], {
    cwd: folder,
    stdio: "inherit",
    env: { ...process.env, METERBOOK_BUILT: builtFolder },
  });
  return status ?? 1;
}

/**
 * Inside mocha: supertest and app.listen() make their servers with http.createServer(app).
 * @param {string} builtFolder
 */
function patch(builtFolder) {
  // By require(), since older versions of mocha load this file so.
  const built = createRequire(import.meta.url)(join(builtFolder, "express/index.js"));
  const plain = http.createServer;
  let fast = 0;
  let others = 0;
  http.createServer = function createServer(/** @type {unknown[]} */ ...given) {
    const [app] = given;
    if (given.length !== 1 || typeof app !== "function") {
      others++;
      return Reflect.apply(plain, http, given);
    }
    const server = built.createServer(app);
    // Those that fell back answer as plain servers; only the others prove something.
    if ("request" in app && "response" in app) fast++;
    else others++;
    return server;
  };
  process.on("exit", () => console.log(`servers: ${fast} with the app's prototypes, ${others} plain`));
}
