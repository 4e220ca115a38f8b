// @ts-check
// Writes SURVIVORS.md from stryker's report: what no test notices, each with the reason that reasons.json gives for it.
import { readFileSync, writeFileSync } from "node:fs";
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

/** @param {string} text */
const shown = (text) => {
  const line = text.replace(/\s+/g, " ").replaceAll("|", "\\|");
  return line.length > SHOWN_LENGTH_MAX ? `${line.slice(0, SHOWN_LENGTH_MAX)}…` : line;
};

/**
 * The page, and how many survivors have no reason yet. A mutant's key is its file and its change, so that it stays the
 * same when lines move.
 * @param {Report} report
 * @param {Readonly<Record<string, string>>} reasons
 * @returns {{ page: string, unexplained: string[] }}
 */
export function survivorsPage(report, reasons) {
  /** @type {string[]} */
  const unexplained = [];
  const figures = ["| file | mutants | noticed | share |", "| --- | --- | --- | --- |"];
  const rows = ["| key | line | reason |", "| --- | --- | --- |"];
  for (const [file, { source, mutants }] of Object.entries(report.files)) {
    const missed = mutants.filter(({ status }) => MISSED.has(status));
    const noticed = mutants.filter(({ status }) => NOTICED.has(status)).length;
    const all = noticed + missed.length;
    figures.push(`| ${file} | ${all} | ${noticed} | ${all === 0 ? "–" : `${((100 * noticed) / all).toFixed(1)} %`} |`);
    for (const mutant of missed) {
      const key = `${file}: ${shown(replaced(source, mutant.location))} → ${shown(mutant.replacement ?? mutant.mutatorName)}`;
      if (!Object.hasOwn(reasons, key)) unexplained.push(key);
      rows.push(`| \`${key}\` | ${mutant.location.start.line} | ${reasons[key] ?? "**none yet**"} |`);
    }
  }
  const title =
    "# Mutants that no test notices\n\nWritten by `npm run mutation`; the reasons are kept in `reasons.json`, by key.";
  return { page: `${title}\n\n${figures.join("\n")}\n\n${rows.join("\n")}\n`, unexplained };
}

/** @param {string} folder */
export function writeSurvivors(folder) {
  const report = JSON.parse(readFileSync(join(folder, "reports/mutation.json"), "utf8"));
  const reasons = JSON.parse(readFileSync(join(folder, "reasons.json"), "utf8"));
  const { page, unexplained } = survivorsPage(report, reasons);
  writeFileSync(join(folder, "SURVIVORS.md"), page);
  return unexplained.length;
}
