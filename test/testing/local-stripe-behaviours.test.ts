import { readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import { expect, it } from "vitest";
import { BEHAVIOURS } from "../../src/testing/local-stripe/behaviours.ts";
import { FAULT_BEHAVIOURS } from "../../src/testing/local-stripe/faults.ts";
import { PIPELINE_BEHAVIOURS } from "../../src/testing/local-stripe/respond.ts";
import { LOCAL_STRIPE_ROUTES } from "../../src/testing/local-stripe/routes.ts";

const here = import.meta.dirname;
const sourceFolder = path.resolve(here, "../../src/testing/local-stripe");
const keys = Object.keys(BEHAVIOURS);

function texts(folder: string, fits: (name: string) => boolean): string {
  return readdirSync(folder)
    .filter((name) => fits(name))
    .map((name) => readFileSync(path.join(folder, name), "utf8"))
    .join("\n");
}

/** What the code refuses with, by reading it: each refusal names its row. */
function refusedWith(): readonly string[] {
  const source = texts(sourceFolder, (name) => name !== "behaviours.ts");
  return [...source.matchAll(/(?:refuse|new StripeRefusal)\(\s*"([\w.]+)"/g)].map((match) => match[1] ?? "");
}

it("marks every endpoint, refusal and fault, and marks nothing that is not there", () => {
  const shown = new Set<string>([
    ...LOCAL_STRIPE_ROUTES.flatMap((route) => route.behaviours),
    ...PIPELINE_BEHAVIOURS,
    ...Object.values(FAULT_BEHAVIOURS),
    ...refusedWith(),
  ]);
  expect([...shown].toSorted()).toEqual(keys.toSorted());
  expect(LOCAL_STRIPE_ROUTES.filter((route) => route.behaviours.length === 0)).toEqual([]);
});

it("refuses nowhere without naming a row", () => {
  const source = texts(sourceFolder, (name) => name !== "stripe-refusal.ts");
  const calls = [...source.matchAll(/\b(?:refuse|new StripeRefusal)\(/g)].length;
  // metadata.ts and faults.ts pass their row on from a table or a wrapper.
  expect(calls - refusedWith().length).toBe(1);
});

it("has a test for every row", () => {
  const tests = texts(here, (name) => /^local-stripe-.*\.test\.ts$/.test(name) && !name.includes("behaviours"));
  const untested = keys.filter((key) => !tests.includes(`[${key}]`) && !tests.includes(`"${key}"`));
  expect(untested).toEqual([]);
});

it("says in words how well each row is known", () => {
  const marks: readonly string[] = ["documented", "seen live", "guessed"];
  const unclear = Object.values(BEHAVIOURS).filter(
    ({ mark, rule }) => !marks.includes(mark) || !/^.{10,200}\.'?$/.test(rule),
  );
  expect(unclear).toEqual([]);
});
