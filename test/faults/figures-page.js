// Turns the figures that fault tests kept into the page FIGURES.md: `node test/faults/figures-page.js <folder> [page]`.
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

const grouped = new Intl.NumberFormat("en-US");
const rows = latestRows();
const text = `# What the fault tests saw

Made by \`npm run faults:page\` from the last run of each test; do not edit. A round is one kill, one failed call, one cut or one seed.
_Acknowledged_ are the events whose response was answered; _lost_ of them are not stored, _doubled_ are stored or billed twice, _invented_ were never sent.

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
