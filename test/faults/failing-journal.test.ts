import { expect, it } from "vitest";

import { depth } from "./depth.ts";
import { recordFigures } from "./figures.ts";
import { needs } from "./needs.ts";
import { expectWhole, figuresOf } from "./oracle.ts";
import { activeSegment, attachFaults, journalFolder, type FailingCall } from "./strace.ts";
import { startTelling, toldLoad, untilRecording, untilStored } from "./told-load.ts";

/** Enough for several segments of 4 MiB with PAD_BYTES each. */
const ROTATING = { requests: 120, padBytes: 90_000 };
const FEW = { requests: 60 };

interface Case {
  readonly name: string;
  readonly failing: (nth: number) => readonly FailingCall[];
  /** Which of the journal's files the failing calls are on. */
  readonly on: (segment: ReturnType<typeof activeSegment>) => readonly string[];
  readonly load: { readonly requests: number; readonly padBytes?: number };
  /** Whether the app may refuse events, having said so. What never touches the line itself refuses none. */
  readonly mayRefuse: boolean;
}

/** A fault on the lines themselves: what cannot be written is refused, and told. */
function onLines(name: string, failing: Case["failing"]): Case {
  return { name, failing, on: ({ path }) => [path], load: FEW, mayRefuse: true };
}

/** A fault on what happens beside the lines: the journal goes on where it is. */
function besideLines(name: string, on: Case["on"], failing: FailingCall, load: Case["load"] = ROTATING): Case {
  return { name, failing: () => [failing], on, load, mayRefuse: false };
}

const CASES: readonly Case[] = [
  onLines("write: EIO once", (nth) => [{ call: "write", error: "EIO", when: String(nth) }]),
  onLines("write: ENOSPC from then on", (nth) => [{ call: "write", error: "ENOSPC", when: `${nth}+` }]),
  onLines("write: EIO, and the line cannot be cut back", (nth) => [
    { call: "write", error: "EIO", when: String(nth) },
    { call: "ftruncate", error: "EIO", when: "1+" },
  ]),
  besideLines("fdatasync: EIO", ({ path }) => [path], { call: "fdatasync", error: "EIO", when: "1+" }, FEW),
  ...(["EMFILE", "EACCES", "ENOSPC"] as const).map((error) =>
    besideLines(`openat of the next segment: ${error}`, ({ draft }) => [draft], { call: "openat", error, when: "1+" }),
  ),
  ...(["EIO", "EACCES"] as const).map((error) =>
    besideLines(`rename of the next segment: ${error}`, ({ draft }) => [draft], { call: "rename", error, when: "1+" }),
  ),
];

it("a disk that fails under the journal breaks no response, and what was answered is counted or told", async (context) => {
  needs(context, "strace-attach");
  const { random, folder, oracle, app, pid } = await startTelling();
  const seen = { rounds: 0, struck: 0, refused: 0 };
  try {
    await toldLoad({ app, oracle, random, prefix: "first", requests: 20 });
    for (const nth of depth({ ci: [1, 3], long: Array.from({ length: 25 }, (_, at) => at + 1) })) {
      for (const { name, failing, on, load, mayRefuse } of CASES) {
        const prefix = `${name.replaceAll(/\W+/g, "-")}-${nth}`;
        const faults = await attachFaults(pid, failing(nth), on(activeSegment(journalFolder(folder, pid))));
        const during = await toldLoad({ app, oracle, random, prefix, ...load });
        await faults.untilStruck();
        const struck = await faults.detach();
        expect({ name, refused: mayRefuse ? 0 : during.refused }).toEqual({ name, refused: 0 });
        // A sync that failed may be known only now, and sets its segment aside: before the next fault it must be over.
        await untilStored(app);
        const after = await untilRecording({ app, oracle, random, prefix });
        seen.rounds += 1;
        seen.struck += struck;
        seen.refused += during.refused + after.refused;
      }
    }
    await untilStored(app);
    expect(await app.close()).toBe(null);
    const verdict = await oracle.check({ directory: folder });
    recordFigures({
      test: "EIO, ENOSPC, EMFILE, EACCES under the journal",
      rounds: seen.rounds,
      ...figuresOf(verdict),
      note: `${seen.struck} calls failed; ${seen.refused} events refused and told`,
    });
    expectWhole(verdict);
    // The full disk was noticed at all.
    expect(seen.refused).toBeGreaterThan(0);
  } finally {
    await oracle.close();
  }
});
