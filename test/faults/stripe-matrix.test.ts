import { afterAll, describe, expect, it } from "vitest";

import { depth } from "./depth.ts";
import { recordFigures } from "./figures.ts";
import { progress } from "./progress.ts";
import { allPairs, fullProduct, pairsNotIn } from "./stripe-matrix/all-pairs.ts";
import { databaseFolder } from "./stripe-matrix/chain.ts";
import { FACTORS, nameOf } from "./stripe-matrix/factors.ts";
import { judge } from "./stripe-matrix/oracle.ts";
import { endCase, playCase } from "./stripe-matrix/run.ts";

const pairwise = allPairs(FACTORS);
const cases = depth({ ci: pairwise, long: fullProduct(FACTORS) });
const { folder, remove } = databaseFolder();
const seen = { rounds: 0, reports: 0, lost: 0, doubled: 0, invented: 0, apart: 0 };
const tell = progress("Stripe matrix", cases.length);
afterAll(() => {
  remove();
  const { rounds, reports, lost, doubled, invented, apart } = seen;
  recordFigures({
    test: "Stripe faults × deaths × reporters × order × clocks",
    rounds,
    acknowledged: reports,
    lost,
    doubled,
    invented,
    note: `${apart} reports stood apart with the reason that their case gives`,
  });
});

it("every two values of two factors meet, in few combinations", () => {
  expect(pairsNotIn(FACTORS, pairwise)).toEqual([]);
  expect(pairsNotIn(FACTORS, pairwise.slice(1))).not.toEqual([]);
  expect(allPairs(FACTORS)).toEqual(pairwise);
  expect(pairwise.length).toBeLessThan(120);
});

// Each has its own file, ports and clock.
describe.concurrent("billed once, or in a visible list with its reason", () => {
  it.each(cases.map((matrixCase, number) => [nameOf(matrixCase), matrixCase, number] as const))(
    "%s",
    { timeout: 120_000 },
    async (_name, matrixCase, number) => {
      const end = await playCase(matrixCase, { folder, number });
      try {
        const { broken, lost, doubled, invented, apart } = await judge(end);
        seen.rounds += 1;
        tell(seen.rounds);
        seen.reports += new Set(end.wire.made.map(({ form }) => form)).size;
        seen.lost += lost;
        seen.doubled += doubled;
        seen.invented += invented;
        seen.apart += apart;
        expect(broken).toEqual([]);
      } finally {
        await endCase(end);
      }
    },
  );
});
