import { readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import { expect, it } from "vitest";
import { BEHAVIOURS } from "../../src/testing/local-stripe/behaviours.ts";
import { FAULT_BEHAVIOURS } from "../../src/testing/local-stripe/faults.ts";
import { PERIOD_BEHAVIOURS } from "../../src/testing/local-stripe/billing/subscription-lifecycle.ts";
import { PIPELINE_BEHAVIOURS } from "../../src/testing/local-stripe/respond.ts";
import { LOCAL_STRIPE_ROUTES } from "../../src/testing/local-stripe/routes.ts";
import { VALIDATION_BEHAVIOURS } from "../../src/testing/local-stripe/validation/receive.ts";
import { DELIVERY_BEHAVIOURS } from "../../src/testing/local-stripe/webhooks/delivery.ts";

const here = import.meta.dirname;
const sourceFolder = path.resolve(here, "../../src/testing/local-stripe");
const keys = Object.keys(BEHAVIOURS);

function texts(folder: string, fits: (name: string) => boolean): string {
  return readdirSync(folder, { withFileTypes: true, recursive: true })
    .filter((entry) => entry.isFile() && fits(entry.name))
    .map((entry) => readFileSync(path.join(entry.parentPath, entry.name), "utf8"))
    .join("\n");
}

/** What the code refuses with, by reading it: each refusal names its row. */
function refusedWith(): readonly string[] {
  return [...refusing().matchAll(/\b(?:refuse|refuseMissing|rejection|new StripeRefusal)\(\s*"([\w.]+)"/g)].map(
    (match) => match[1] ?? "",
  );
}

/** All code but the two files that define how a refusal is made. */
function refusing(): string {
  return texts(sourceFolder, (name) => name !== "stripe-refusal.ts" && name !== "rejection.ts");
}

it("marks every endpoint, refusal and fault, and marks nothing that is not there", () => {
  const shown = new Set<string>([
    ...LOCAL_STRIPE_ROUTES.flatMap((route) => route.behaviours),
    ...PIPELINE_BEHAVIOURS,
    ...PERIOD_BEHAVIOURS,
    ...VALIDATION_BEHAVIOURS,
    ...DELIVERY_BEHAVIOURS,
    ...Object.values(FAULT_BEHAVIOURS),
    ...refusedWith(),
  ]);
  expect([...shown].toSorted()).toEqual(keys.toSorted());
  expect(LOCAL_STRIPE_ROUTES.filter((route) => route.behaviours.length === 0)).toEqual([]);
});

it("refuses nowhere without naming a row", () => {
  const calls = [...refusing().matchAll(/\b(?:refuse|refuseMissing|rejection|new StripeRefusal)\(/g)].length;
  // A fault's row comes from its table; the two meter event endpoints pass on what the check named.
  expect(calls - refusedWith().length).toBe(3);
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
