import { meterTypeOf, type MeterTypeDraft } from "../../core/meter-type.ts";
import type { Guide } from "../../core/guide.ts";
import { bucketMaking, listBuckets, type BucketDraft } from "./buckets.ts";
import { change, type Desk } from "./entries.ts";
import { guideOf, guideOver, putGuide } from "./guides.ts";
import { createMeterType, listMeterTypes, plainType, updateMeterType } from "./meter-types.ts";

/** What a configuration says of meter types, guides and meters. */
export interface Provisioning {
  readonly meterTypes: readonly MeterTypeDraft[];
  readonly guides: readonly Guide[];
  readonly buckets: readonly BucketDraft[];
}

/** One thing that provisioning makes, changes or leaves as it is. */
export interface ProvisionStep {
  readonly what: "meter type" | "guide" | "meter";
  readonly name: string;
  readonly change: "create" | "update" | "keep";
}

/**
 * Makes what a configuration says and is not there yet, types first, then guides, then meters. Doing it again changes
 * nothing; nothing is deleted. A changed type is for meters that are made from now on.
 */
export async function provision(
  desk: Desk,
  wanted: Provisioning,
  { dryRun }: { readonly dryRun: boolean },
): Promise<readonly ProvisionStep[]> {
  const types = await provisionTypes(desk, wanted.meterTypes, dryRun);
  const guides = await provisionGuides(desk, wanted.guides, dryRun);
  return [...types, ...guides, ...(await provisionBuckets(desk, wanted.buckets, dryRun))];
}

async function provisionTypes(
  desk: Desk,
  drafts: readonly MeterTypeDraft[],
  dryRun: boolean,
): Promise<readonly ProvisionStep[]> {
  const known = new Map((await listMeterTypes(desk.store)).map((type) => [type.name, type]));
  const steps: ProvisionStep[] = [];
  for (const draft of drafts) {
    const before = known.get(draft.name);
    const isSame = before !== undefined && canonical(plainType(before)) === canonical(meterTypeOf(draft));
    const kind = before === undefined ? "create" : isSame ? "keep" : "update";
    steps.push({ what: "meter type", name: draft.name, change: kind });
    if (dryRun || isSame) continue;
    if (before === undefined) await createMeterType(desk, draft);
    else await updateMeterType(desk, before.id, meterTypeOf(draft));
  }
  return steps;
}

async function provisionGuides(
  desk: Desk,
  guides: readonly Guide[],
  dryRun: boolean,
): Promise<readonly ProvisionStep[]> {
  const steps: ProvisionStep[] = [];
  for (const guide of guides) {
    const before = await desk.store.getEntry("guide", guide.key);
    const known = before === null ? null : guideOf(before);
    const isSame = known !== null && canonical(known) === canonical(guideOver(known, guide));
    steps.push({ what: "guide", name: guide.key, change: before === null ? "create" : isSame ? "keep" : "update" });
    if (!dryRun) await putGuide(desk, guide);
  }
  return steps;
}

async function provisionBuckets(
  desk: Desk,
  drafts: readonly BucketDraft[],
  dryRun: boolean,
): Promise<readonly ProvisionStep[]> {
  const known = new Set(
    (await listBuckets(desk.store)).map(({ userId, type, guide }) => nameOf(userId, type.name, guide)),
  );
  const steps: ProvisionStep[] = [];
  const missing: BucketDraft[] = [];
  for (const draft of drafts) {
    const name = nameOf(draft.userId, draft.meterType, draft.guide);
    const isThere = known.has(name);
    known.add(name);
    steps.push({ what: "meter", name, change: isThere ? "keep" : "create" });
    if (!isThere) missing.push(draft);
  }
  if (dryRun) return steps;
  // A transaction for each would wait for the disk thousands of times.
  for (let start = 0; start < missing.length; start += BATCH) {
    const changes = await Promise.all(missing.slice(start, start + BATCH).map((draft) => bucketMaking(desk, draft)));
    await change(desk.store, changes, desk.now, "a meter");
  }
  return steps;
}

const BATCH = 500;

function nameOf(userId: string, type: string, guide: string): string {
  return `${userId} · ${type} · ${guide}`;
}

function canonical(value: object): string {
  return JSON.stringify(value, (_name, member: unknown) =>
    typeof member === "object" && member !== null && !Array.isArray(member)
      ? Object.fromEntries(Object.entries(member).toSorted(([a], [b]) => (a < b ? -1 : 1)))
      : member,
  );
}
