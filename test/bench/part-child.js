// Runs one part in a process of its own, so that no part warms or fills another's heap. Started by run.js.
import { PARTS } from "./parts.js";

process.once("message", ({ part, settings }) => void measure(part, settings));

async function measure(part, settings) {
  try {
    process.send({ report: await PARTS[part](settings) }, () => process.exit());
  } catch (error) {
    process.send({ error: error.stack }, () => process.exit(1));
  }
}
