import { measureDrain } from "./drain.js";
import { measureInProcess } from "./in-process.js";
import { measureMatching } from "./matching.js";
import { measureMemory } from "./memory.js";
import { measurePaths } from "./paths.js";
import { measureServe } from "./serve.js";
import { measureQuery } from "./query.js";
import { measureServers } from "./servers.js";

/** What can be measured, by name, in the order in which it is. */
export const PARTS = {
  servers: measureServers,
  "in-process": measureInProcess,
  drain: measureDrain,
  matching: measureMatching,
  memory: measureMemory,
  paths: measurePaths,
  serve: measureServe,
  query: measureQuery,
};
