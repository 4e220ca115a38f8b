// The whole way of some events in one thread, every call in the same order each time: append, drain, close windows, report.
// Arguments: the folder, a prefix for tokens, the companies by comma. Prints "try <token> <company> <tokens>" and "ack <token>".
import { writeSync } from "node:fs";
import { join } from "node:path";

import { openJournal } from "../../../dist/journal/journal.js";
import { journalRoot } from "../../../dist/runtime/journal-root.js";
import { loadConfig } from "../../../dist/runtime/load-config.js";
import { openNode } from "../../../dist/runtime/node.js";
import { reportCycle } from "../../../dist/runtime/report-cycle.js";
import { holderName, systemClock, systemRandom } from "../../../dist/runtime/system.js";

const [, , folder = "", prefix = "", companies = ""] = process.argv;
const EVENTS = 20;
/** The window of the events has ended already. */
const AGO_MS = 2 * 60_000;

/** @param {string} line */
const print = (line) => void writeSync(1, `${line}\n`);
/** @param {object} told */
const complain = (told) => print(`note ${JSON.stringify(told)}`);

const { settings } = loadConfig({ config: join(folder, "meterbook.yaml"), directory: folder, env: process.env });
const journal = openJournal({
  root: journalRoot(settings),
  durability: "process",
  clock: systemClock,
  random: systemRandom,
  onProblem: ({ error, phase }) => complain({ phase, code: error.code, text: error.message }),
  // Segments of a few events each: files are made, renamed and deleted all the time.
  bounds: { segmentBytesMax: 1_500 },
});

/** @param {number} first */
function append(first) {
  for (let at = first; at < first + EVENTS / 2; at++) {
    const token = `${prefix}-${at}`;
    const company = String(companies.split(",")[at % 2]);
    const tokens = `${at}.${10 + at}`;
    print(`try ${token} ${company} ${tokens}`);
    const event = {
      source: "small-scenario",
      id: journal.nextId(),
      type: "http.request",
      time: systemClock.now() - AGO_MS,
      company,
      user: null,
      request: { method: "GET", path: "/chat", route: "/chat" },
      response: { status: 200, headers: { "x-tokens-used": tokens } },
      metadata: { token },
    };
    if (journal.append(JSON.stringify({ kind: "event", event, open: [] }))) print(`ack ${token}`);
  }
}

append(0);
const node = await openNode({
  settings,
  clock: systemClock,
  ownWriter: journal.writer,
  adoptFrom: systemClock.now(),
  onNotice: complain,
});
await node.drainAll();
append(EVENTS / 2);
await journal.sync();
await node.drainAll();
await reportCycle(node, { clock: systemClock, holder: holderName(), onNotice: complain });
await journal.close();
await node.drainAll();
await node.close();
print("end");
process.exit(0);
