import type { Json } from "../../core/event.ts";
import { ownMembers } from "../../core/own-member.ts";
import { limits } from "../limits.ts";
import type { RegisterChange, RegisterEntry, StoreView } from "../ports.ts";
import type { Subject } from "./customer.ts";
import { membersOf, objectAt, textAt } from "./entry-body.ts";
import { entryId } from "./entry-id.ts";
import {
  assertNoMistakes,
  changedMeanwhile,
  identifierMistakes,
  lengthMistakes,
  memberMistakes,
  notFound,
} from "./refusals.ts";
import type { RegistryTools } from "./registry-tools.ts";

/** What a caller says of a subject; what is left out stays as it is, or is empty. */
export interface SubjectDraft {
  readonly key: string;
  readonly displayName?: string | null;
  readonly metadata?: Subject["metadata"];
}

/** All subjects that somebody described, in the order in which that was done first. */
export async function listSubjects({
  store,
}: {
  readonly store: Pick<StoreView, "listEntries">;
}): Promise<readonly Subject[]> {
  const subjects: Subject[] = [];
  for (let after: string | undefined; ;) {
    const limit = limits.registerPageMax;
    const page = await store.listEntries({ kind: "subject", ...(after === undefined ? {} : { after }), limit });
    subjects.push(...page.map(subjectOf));
    after = page.at(-1)?.id;
    if (page.length < limit) return subjects;
  }
}

/** A subject by key or id. METER_NOT_FOUND. */
export async function getSubject(
  { store }: { readonly store: Pick<StoreView, "findEntry" | "getEntry"> },
  { idOrKey }: { readonly idOrKey: string },
): Promise<Subject> {
  return subjectOf(await livingEntry(store, idOrKey));
}

/** Describes subjects, known ones anew; all of them or none. Of two with one key the last one holds. METER_REQUEST_INVALID. */
export async function putSubjects(
  tools: RegistryTools,
  { subjects, author }: { readonly subjects: readonly SubjectDraft[]; readonly author: string },
): Promise<readonly Subject[]> {
  const { store, clock, random } = tools;
  assertNoMistakes("The subjects have a mistake", mistakesOf(subjects));
  const drafts = [...new Map(subjects.map((draft) => [draft.key, draft])).values()];
  for (let tries = 0; tries < limits.registerTriesMax; tries++) {
    const now = clock.now();
    const changes: RegisterChange[] = [];
    for (const draft of drafts) {
      const known = await store.findEntry("subject", draft.key);
      const id = known?.id ?? entryId(now, random);
      const body = bodyOf(draft, known);
      changes.push({ kind: "subject", id, seen: known?.revision ?? null, names: [draft.key], body, author });
    }
    const outcome = await store.changeEntries(changes, now);
    if (outcome.done) return outcome.entries.map(subjectOf);
  }
  throw changedMeanwhile("subject");
}

/** Forgets what was said of a subject; its usage, and who pays for it, stay. METER_NOT_FOUND. */
export async function deleteSubject(
  { store, clock }: Pick<RegistryTools, "store" | "clock">,
  { idOrKey, author }: { readonly idOrKey: string; readonly author: string },
): Promise<void> {
  for (let tries = 0; tries < limits.registerTriesMax; tries++) {
    const { id, revision: seen } = await livingEntry(store, idOrKey);
    const change: RegisterChange = { kind: "subject", id, seen, names: [], body: null, author };
    if ((await store.changeEntries([change], clock.now())).done) return;
  }
  throw changedMeanwhile("subject");
}

function mistakesOf(subjects: readonly SubjectDraft[]) {
  if (subjects.length > limits.subjectsPutMax)
    return [{ pointer: "", message: `at most ${limits.subjectsPutMax} subjects can be put at once` }];
  return subjects
    .map(ownMembers)
    .flatMap(({ key, displayName, metadata }, at) => [
      ...identifierMistakes(`/${at}/key`, key),
      ...lengthMistakes(`/${at}/displayName`, displayName, limits.entryNameLengthMax),
      ...memberMistakes(`/${at}/metadata`, metadata),
    ]);
}

function bodyOf(draft: SubjectDraft, known: RegisterEntry | null): Json {
  const before = known === null ? null : subjectOf(known);
  const { key, displayName = before?.displayName ?? null, metadata = before?.metadata ?? {} } = ownMembers(draft);
  return { key, displayName, metadata };
}

function subjectOf({ id, body, createdAt, updatedAt }: RegisterEntry): Subject {
  const members = membersOf(body);
  const key = textAt(members, "key") ?? id;
  const displayName = textAt(members, "displayName");
  return { id, key, displayName, metadata: objectAt(members, "metadata"), createdAt, updatedAt };
}

async function livingEntry(store: Pick<StoreView, "findEntry" | "getEntry">, idOrKey: string): Promise<RegisterEntry> {
  const entry = (await store.findEntry("subject", idOrKey)) ?? (await store.getEntry("subject", idOrKey));
  if (entry === null || entry.deletedAt !== null) throw notFound("subject", idOrKey);
  return entry;
}
