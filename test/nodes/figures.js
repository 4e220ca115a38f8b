// @ts-check
import process from "node:process";

/** @typedef {{ passed: number, failed: number, skipped: number, failures: string[], isGood: boolean }} Figures */

/** Longest part of a failure's text that is shown. */
const FAILURE_LENGTH_MAX = 300;

/**
 * The figures of one run, from vitest's JSON. A skipped test is no passed test.
 * @param {string} json
 * @param {number | null} code exit code of the run
 * @returns {Figures}
 */
export function figuresOf(json, code) {
  /** @type {{ numPassedTests: number, numFailedTests: number, numPendingTests: number, numTodoTests: number, testResults: { name: string, status: string, message?: string, assertionResults: { fullName: string, status: string, failureMessages?: string[] }[] }[] }} */
  const results = JSON.parse(json);
  const failures = results.testResults.flatMap(({ name, status, message, assertionResults }) => {
    const file = name.split("/test/").at(-1);
    const failed = assertionResults
      .filter((test) => test.status === "failed")
      .map((test) => `${file}: ${test.fullName}: ${shortened(test.failureMessages?.[0] ?? "")}`);
    return status === "failed" && failed.length === 0 ? [`${file}: ${shortened(message ?? "")}`] : failed;
  });
  const skipped = results.numPendingTests + results.numTodoTests;
  return {
    passed: results.numPassedTests,
    failed: results.numFailedTests,
    skipped,
    failures,
    isGood: code === 0 && failures.length === 0 && skipped === 0 && results.numPassedTests > 0,
  };
}

/**
 * One line about the run on one Node.
 * @param {string} major
 * @param {Figures} figures
 * @param {bigint} startedAt
 */
export function lineOf(major, { passed, failed, skipped }, startedAt) {
  const seconds = Number((process.hrtime.bigint() - startedAt) / 1_000_000_000n);
  return `Node ${major}: ${passed} passed, ${failed} failed, ${skipped} skipped, ${seconds} s with its installation`;
}

/** @param {string} text */
function shortened(text) {
  const line = text.split("\n    at ")[0] ?? text;
  return line.length > FAILURE_LENGTH_MAX ? `${line.slice(0, FAILURE_LENGTH_MAX)}…` : line;
}
