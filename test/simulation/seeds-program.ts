// Runs seeds without a test runner, one line of JSON each: `node seeds-program.js <first> <count>`. Built by seed-lanes.ts.
import { playSeed } from "./seed.ts";

const [first = 1, count = 0] = process.argv.slice(2).map(Number);
for (let seed = first; seed < first + count; seed++) {
  process.stdout.write(`${JSON.stringify(await playSeed(seed))}\n`);
  // Within a seed the loop seldom turns; here timers and finished files have their turn.
  await new Promise((turned) => setImmediate(turned));
}
