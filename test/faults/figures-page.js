// Turns the figures that fault tests kept into the page FIGURES.md: `node test/faults/figures-page.js <folder> [page]`.
// Each test keeps its own, so that a long run may be made test by test; the page says the commands and each figure's depth.
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

/** @typedef {import("./figures.ts").Figures & { depth: string, at: string, node: string, cpu: string }} Row */

const folder = process.argv[2] ?? process.env["FAULT_FIGURES"];
const page = process.argv[3] ?? fileURLToPath(new URL("FIGURES.md", import.meta.url));
if (folder === undefined || folder === "") {
  console.error(
    "Name the folder: FAULT_FIGURES=<folder> npm run test:faults, then FAULT_FIGURES=<folder> npm run faults:page",
  );
  process.exit(2);
}

/** @returns {readonly Row[]} The latest row of each test and depth. */
function latestRows() {
  const rows = new Map();
  for (const name of readdirSync(String(folder)).filter((file) => file.endsWith(".jsonl")))
    for (const line of readFileSync(join(String(folder), name), "utf8").split("\n")) {
      if (line === "") continue;
      /** @type {Row} */
      const row = JSON.parse(line);
      const key = `${row.test} ${row.depth}`;
      if ((rows.get(key)?.at ?? "") <= row.at) rows.set(key, row);
    }
  return [...rows.values()].toSorted((a, b) => (a.test < b.test ? -1 : Number(a.test > b.test)));
}

/** @param {readonly (string | number)[]} cells */
function tableRow(cells) {
  return `| ${cells.map((cell) => String(cell).replaceAll("|", "\\|")).join(" | ")} |`;
}

/** One test of the long column each, as it is run by itself. */
const LONG_RUNS = [
  ["test/faults/kill-under-load.test.ts", "2,000 kills; `KILLS=500` for fewer"],
  ["test/faults/serve-kill.test.ts", "1,000 kills of the service; `SERVE_KILLS=200` for fewer"],
  ["test/faults/serve-stop.test.ts", "200 stops and 400 edits; `SERVE_STOPS=50 SERVE_EDITS=50` for fewer"],
  [
    "test/faults/serve-changes.test.ts",
    "100 kills at answers, 100 while a past is counted; `CHANGE_KILLS`, `BACKFILL_KILLS`",
  ],
  ["test/faults/kill-at-call.test.ts", "a kill at each of the calls, alone and eight in a row"],
  ["test/faults/power-cut.test.ts", "20,000 images; `POWER_CUTS=5000` for fewer"],
  ["test/faults/failing-journal.test.ts", "each of the first 25 calls of a kind; an app that serves has no last one"],
  ["test/faults/failing-store.test.ts", "each of the first 40 calls of a kind"],
  ["test/faults/full-disk.test.ts", "30 full and 20 read-only disks"],
  ["test/faults/processes.test.ts", "20,000 requests to each of two and five processes"],
  ["test/faults/frozen.test.ts", "30 reporters frozen past their lease"],
  ["test/faults/stripe-matrix", "every combination"],
  ["test/faults/soak.test.ts", "an hour; `SOAK_SECONDS=600` for less"],
  ["test/simulation", "100,000 seeds on all cores; `SIM_FROM=1 SIM_COUNT=20000` for a part"],
];

const grouped = new Intl.NumberFormat("en-US");
const rows = latestRows();
const text = `# What the fault tests saw

Made by \`npm run faults:page\` from the last run of each test; do not edit. A round is one kill, one failed call, one cut or one seed.
_Acknowledged_ are the events whose response was answered; _lost_ of them are not stored, _doubled_ are stored or billed twice, _invented_ were never sent.
_Depth_ is \`ci\` (every change) or \`long\` (before a release), with what the environment asked for instead.

\`npm run test:long\` runs all of the long column. One test of it, after \`npm run build\`, which tells its progress every half minute:

${LONG_RUNS.map(([file, amount]) => `- \`FAULT_DEPTH=long npx vitest run --config test/faults/vitest.config.ts ${file}\` – ${amount}`).join("\n")}

With \`FAULT_FIGURES=<folder>\` before it, its figures come to this page by \`FAULT_FIGURES=<folder> npm run faults:page\`.

${[
  tableRow(["test", "rounds", "acknowledged", "lost", "doubled", "invented", "depth", "when, where", "note"]),
  "| --- | ---: | ---: | ---: | ---: | ---: | --- | --- | --- |",
  ...rows.map(({ test, rounds, acknowledged, lost, doubled, invented, depth, at, node, cpu, note }) =>
    tableRow([
      test,
      ...[rounds, acknowledged, lost, doubled, invented].map((count) => grouped.format(count)),
      depth,
      `${at.slice(0, 10)}, Node ${node.slice(1)}, ${cpu}`,
      note ?? "",
    ]),
  ),
].join("\n")}
`;
writeFileSync(page, text);
console.log(`${rows.length} rows in ${page}`);
