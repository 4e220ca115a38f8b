// @ts-check
// Writes SURVIVORS.md from stryker's reports: what no test notices, each with the reason that reasons.json gives for it.
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

/** @typedef {{ mutatorName: string, replacement?: string, status: string, location: { start: { line: number, column: number }, end: { line: number, column: number } } }} Mutant */
/** @typedef {{ files: Record<string, { source: string, mutants: Mutant[] }> }} Report */

const NOTICED = new Set(["Killed", "Timeout"]);
const MISSED = new Set(["Survived", "NoCoverage"]);
/** Longest part of a mutant that is shown. */
const SHOWN_LENGTH_MAX = 100;

/**
 * The source text that a mutant replaces.
 * @param {string} source
 * @param {Mutant["location"]} location
 */
function replaced(source, { start, end }) {
  const lines = source.split("\n").slice(start.line - 1, end.line);
  const last = lines.length - 1;
  lines[last] = (lines[last] ?? "").slice(0, end.column - 1);
  lines[0] = (lines[0] ?? "").slice(start.column - 1);
  return lines.join("\n");
}

/**
 * The function or constant of the file in which a mutant lies, by name.
 * @param {string} source
 * @param {Mutant["location"]} location
 */
function placeOf(source, { start }) {
  const before = source.split("\n").slice(0, start.line).toReversed();
  const opening = before.map((line) => DECLARATION.exec(line)).find((match) => match !== null);
  return opening?.[1] ?? "";
}

const DECLARATION = /^(?:export )?(?:async )?(?:function\*?|const|class) (\w+)/;

/** @param {string} text */
const shown = (text) => {
  const line = text.replace(/\s+/g, " ").replaceAll("|", "\\|");
  return line.length > SHOWN_LENGTH_MAX ? `${line.slice(0, SHOWN_LENGTH_MAX)}…` : line;
};

/**
 * The page, and which survivors have no reason yet. A mutant's key is its file, its function and its change, so that it
 * stays the same when lines move.
 * @param {Report} report
 * @param {Readonly<Record<string, string>>} reasons
 * @returns {{ page: string, unexplained: string[], explained: Set<string> }}
 */
export function survivorsPage(report, reasons) {
  /** @type {string[]} */
  const unexplained = [];
  /** @type {Set<string>} */
  const explained = new Set();
  const figures = ["| file | mutants | noticed | share |", "| --- | --- | --- | --- |"];
  const rows = ["| key | line | reason |", "| --- | --- | --- |"];
  for (const [file, { source, mutants }] of Object.entries(report.files)) {
    const missed = mutants.filter(({ status }) => MISSED.has(status));
    const noticed = mutants.filter(({ status }) => NOTICED.has(status)).length;
    const all = noticed + missed.length;
    figures.push(`| ${file} | ${all} | ${noticed} | ${all === 0 ? "–" : `${((100 * noticed) / all).toFixed(1)} %`} |`);
    for (const mutant of missed) {
      const change = `${shown(replaced(source, mutant.location))} → ${shown(mutant.replacement ?? mutant.mutatorName)}`;
      const key = `${file} ${placeOf(source, mutant.location)}: ${change}`;
      if (Object.hasOwn(reasons, key)) explained.add(key);
      else unexplained.push(key);
      rows.push(`| \`${key}\` | ${mutant.location.start.line} | ${reasons[key] ?? "**none yet**"} |`);
    }
  }
  const title =
    "# Mutants that no test notices\n\nWritten by `npm run mutation`; the reasons are kept in `reasons.json`, by key.";
  return { page: `${title}\n\n${figures.join("\n")}\n\n${rows.join("\n")}\n`, unexplained, explained };
}

/**
 * Where the results of a mutated file are kept.
 * @param {string} folder of the mutation tests
 * @param {string} file
 */
export function reportPath(folder, file) {
  return join(folder, "reports", `${file.replace(/^src\//, "").replaceAll("/", "-")}.json`);
}

/**
 * Writes the page of all files, once each has results. `unused` are reasons for mutants that are noticed by now.
 * @param {string} folder
 * @param {readonly string[]} files
 * @returns {{ missing: readonly string[], unexplained: readonly string[], unused: readonly string[] }}
 */
export function writeSurvivors(folder, files) {
  const [known, missing] = [true, false].map((isKnown) =>
    files.filter((file) => existsSync(reportPath(folder, file)) === isKnown),
  );
  /** @type {Report[]} */
  const reports = (known ?? []).map((file) => JSON.parse(readFileSync(reportPath(folder, file), "utf8")));
  const reasons = JSON.parse(readFileSync(join(folder, "reasons.json"), "utf8"));
  const merged = { files: Object.assign({}, ...reports.map((report) => report.files)) };
  const { page, unexplained, explained } = survivorsPage(merged, reasons);
  if (missing?.length === 0) writeFileSync(join(folder, "SURVIVORS.md"), page);
  const unused = Object.keys(reasons).filter(
    (key) => !explained.has(key) && known?.some((file) => key.startsWith(`${file} `)),
  );
  return { missing: missing ?? [], unexplained, unused };
}
