import type { Amendment, HoldReason } from "../core/event.ts";
import type { CaptureContext } from "./context.ts";
import type { Answer, HookAnswers } from "./hooks.ts";
import type { Identity } from "./identity.ts";
import { quote, stringsObject } from "./json-text.ts";

/** What an amendment says besides whose it is; metadata as JSON text. */
type AmendmentFacts = Pick<Amendment, "closes" | "company" | "user" | "aborted" | "faults"> & {
  readonly metadata?: string;
};

/** Appends an amendment to an event of this capture. */
export function amend(context: CaptureContext, id: string, facts: AmendmentFacts): void {
  let text = `{"kind":"amendment","amendment":{"source":${quote(context.source)},"id":${quote(id)},"closes":"${facts.closes}"`;
  if (facts.company !== undefined) text += `,"company":${quote(facts.company)}`;
  if (facts.user !== undefined) text += `,"user":${quote(facts.user)}`;
  if (facts.metadata !== undefined) text += `,"metadata":${facts.metadata}`;
  if (facts.aborted !== undefined) text += `,"aborted":${facts.aborted}`;
  if (facts.faults !== undefined) text += `,"faults":${stringsObject(facts.faults)}`;
  if (context.recorder.append(`${text}}}`)) context.counters.amendments++;
  else context.counters.refused++;
}

/** Whether any hook's answer is still to come. */
export function isAwaited(answers: HookAnswers): boolean {
  return answers.company.kind === "later" || answers.user.kind === "later" || answers.metadata.kind === "later";
}

/** Waits for the hooks that answered with a promise, and appends what they say as one amendment. */
export function amendWhenAnswered(context: CaptureContext, id: string, answers: HookAnswers): void {
  context.counters.pendingHooks++;
  const answered = Promise.all([later(answers.company), later(answers.user), later(answers.metadata)])
    .then(([company, user, metadata]) => {
      const faults: Record<string, HoldReason> = {};
      if (company?.kind === "fault") faults["company"] = company.reason;
      if (user?.kind === "fault") faults["user"] = user.reason;
      if (metadata?.kind === "fault") faults["metadata"] = metadata.reason;
      amend(context, id, {
        closes: "identity",
        ...known("company", company),
        ...known("user", user),
        ...(metadata?.kind === "text" ? { metadata: metadata.json } : {}),
        ...(Object.keys(faults).length === 0 ? {} : { faults }),
      });
      if (company !== null) context.notices.attributed(company.kind === "known");
      return undefined;
    })
    .catch((error: unknown) => context.fail(error, "amendment", id))
    .finally(() => {
      context.counters.pendingHooks--;
      context.underWay.delete(answered);
    });
  context.underWay.add(answered);
}

function later<T>(answer: Answer<T>): Promise<T> | null {
  return answer.kind === "later" ? answer.value : null;
}

function known(role: "company" | "user", identity: Identity | null): { company?: string; user?: string } {
  return identity?.kind === "known" ? { [role]: identity.id } : {};
}
