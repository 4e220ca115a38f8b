import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { beforeEach, describe, expect, it, onTestFinished } from "vitest";

import { depthOr, seededRandom, testRandom, type SeededRandom } from "./depth.ts";
import { recordFigures } from "./figures.ts";
import { needs } from "./needs.ts";
import { progress } from "./progress.ts";
import { afterReboot, learn, type Damage, type Known } from "./power/aftermath.ts";
import { writeImage } from "./power/image.ts";
import { realFiles, record, replayedFiles, type Recording } from "./power/recording.ts";
import { Replay } from "./power/replay.ts";

/** Images in all; each mode has half of them. */
const IMAGES = depthOr("POWER_CUTS", { ci: 300, long: 20_000 });
/** Another recording after so many images: chance then takes other ways. */
const IMAGES_A_RECORDING = 150;
const STEPS = 120;
/** The machine is up again some minutes after the program's own clock stood still. */
const REBOOT_MS = 10 * 60_000;

/** In memory where the machine has such a folder: an image need not survive anything. */
function temporary(): string {
  const folder = mkdtempSync(join(existsSync("/dev/shm") ? "/dev/shm" : tmpdir(), "meterbook-power-"));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

function endOf(recording: Recording): { readonly replay: Replay; readonly now: number } {
  const replay = new Replay(recording.directory);
  for (const call of recording.calls) replay.take(call);
  const end = JSON.parse(replay.said.at(-1)?.text ?? "{}") as { readonly now?: number };
  if (end.now === undefined) throw new Error("the recorded program did not come to its end");
  return { replay, now: end.now };
}

/** What was seen over all images, and the first ones that were not whole. */
interface Seen {
  images: number;
  acknowledged: number;
  lost: number;
  doubled: number;
  invented: number;
  conflicts: number;
  readonly failures: object[];
}

/** Cuts a recording at so many places, in one pass, and looks at what each cut leaves. */
async function cutEverywhere(
  parent: string,
  recording: Recording,
  { images, random, seen }: { images: number; random: SeededRandom; seen: Seen },
): Promise<void> {
  const bootedAt = endOf(recording).now + REBOOT_MS;
  const first = recording.calls.findIndex(({ words }) => words.includes(hexOf(recording.directory)));
  const cuts = Array.from({ length: images }, () => random.between(first, recording.calls.length));
  const replay = new Replay(recording.directory);
  let next = 0;
  for (const cut of cuts.toSorted((a, b) => a - b)) {
    for (const call of recording.calls.slice(next, cut)) replay.take(call);
    next = Math.max(next, cut);
    const image = join(parent, `image-${seen.images}`);
    const chance = seededRandom(random.between(0, 2 ** 31));
    writeImage(replay.disk, image, () => chance.next());
    const known = learn(replay.said);
    const damage = await damageOf(image, known, bootedAt);
    const { lost, doubled, invented, wrong } = damage;
    seen.images += 1;
    seen.acknowledged += known.acknowledged.size;
    seen.lost += lost.length;
    seen.doubled += doubled.length;
    seen.invented += invented.length;
    seen.conflicts += damage.conflicts;
    if ([lost, doubled, invented, wrong].some(({ length }) => length > 0))
      seen.failures.push({ cut, chance: chance.seed, ...damage });
    rmSync(image, { recursive: true });
  }
}

async function damageOf(image: string, known: Known, bootedAt: number): Promise<Damage> {
  try {
    return await afterReboot(image, known, bootedAt);
  } catch (error) {
    const wrong = [error instanceof Error ? error.message : String(error)];
    return { lost: [], doubled: [], invented: [], conflicts: 0, wrong };
  }
}

function hexOf(text: string): string {
  return [...Buffer.from(text)].map((byte) => `\\x${byte.toString(16).padStart(2, "0")}`).join("");
}

describe("a power cut at any moment", () => {
  beforeEach((context) => needs(context, "strace"));

  it("is replayed on a disk that at its end holds, byte for byte, what the real one does", async () => {
    const recording = await record(temporary(), { durability: "power", steps: STEPS, seed: testRandom().seed });
    const { replay } = endOf(recording);
    const replayed = replayedFiles(replay.disk.root);
    const real = realFiles(recording.directory);
    expect([...replayed.keys()].toSorted()).toEqual([...real.keys()].toSorted());
    expect([...real].filter(([path, bytes]) => replayed.get(path)?.equals(bytes) !== true)).toEqual([]);
    // What makes the recording worth cutting: segments were deleted, names were synced, the log was written back.
    const count = (name: string): number => recording.calls.filter((call) => call.name === name).length;
    expect(count("unlink")).toBeGreaterThan(10);
    expect(count("fdatasync")).toBeGreaterThan(50);
    expect(count("fsync")).toBeGreaterThan(50);
    expect(learn(replay.said).problems).toEqual([]);
  });

  it.each(["power", "process"] as const)(
    "durability %s: what was promised is there once, nothing is invented, the file is whole, and it is billed once",
    async (durability) => {
      const random = testRandom();
      const seen: Seen = { images: 0, acknowledged: 0, lost: 0, doubled: 0, invented: 0, conflicts: 0, failures: [] };
      const tell = progress(`power cut, durability ${durability}`, IMAGES / 2);
      while (seen.images < IMAGES / 2 && seen.failures.length === 0) {
        const parent = temporary();
        const recording = await record(parent, { durability, steps: STEPS, seed: random.between(0, 2 ** 31) });
        const images = Math.min(IMAGES / 2 - seen.images, IMAGES_A_RECORDING);
        await cutEverywhere(parent, recording, { images, random, seen });
        rmSync(parent, { recursive: true });
        tell(seen.images);
      }
      const { acknowledged, lost, doubled, invented } = seen;
      recordFigures({
        test: `power cut, durability ${durability}`,
        rounds: seen.images,
        acknowledged,
        lost,
        doubled,
        invented,
        note: `acknowledged is summed over images; ${seen.conflicts} events were shown as conflicts`,
      });
      expect(seen.failures.slice(0, 3)).toEqual([]);
      expect(acknowledged).toBeGreaterThan(IMAGES);
    },
  );
});
