import { MeterbookError } from "../../core/errors.ts";
import { checkIdentifier } from "../../core/event-rules.ts";
import { limits } from "../limits.ts";

/** A mistake in what a caller states: where (JSON pointer), and what. */
export interface Mistake {
  readonly pointer: string;
  readonly message: string;
}

/** METER_REQUEST_INVALID with all mistakes, unless there are none. */
export function assertNoMistakes(what: string, mistakes: readonly Mistake[]): void {
  const [first] = mistakes;
  if (first === undefined) return;
  const more = mistakes.length > 1 ? ` (and ${mistakes.length - 1} more)` : "";
  throw new MeterbookError("METER_REQUEST_INVALID", `${what}: ${first.pointer}: ${first.message}${more}.`, {
    mistakes,
  });
}

/** METER_NOT_FOUND for something that is called by id or key. */
export function notFound(what: string, idOrKey: string): MeterbookError {
  return new MeterbookError("METER_NOT_FOUND", `There is no ${what} ${JSON.stringify(idOrKey)}.`);
}

/** METER_CONFLICT. */
export function conflict(message: string, remedy?: string): MeterbookError {
  return new MeterbookError("METER_CONFLICT", message, remedy === undefined ? {} : { remedy });
}

/** METER_CONFLICT for an entry that others change all the time. */
export function changedMeanwhile(what: string): MeterbookError {
  return conflict(`The ${what} was changed by others meanwhile; nothing was changed.`, "Read it again and decide.");
}

/** What is wrong with a text that names something, if anything. */
export function identifierMistakes(pointer: string, text: string): readonly Mistake[] {
  if (checkIdentifier(text, limits.identifierLengthMax) === null) return [];
  const message = `is empty, longer than ${limits.identifierLengthMax} characters or has control characters`;
  return [{ pointer, message }];
}

/** What is wrong with a text for people, if anything. */
export function lengthMistakes(
  pointer: string,
  text: string | null | undefined,
  lengthMax: number,
): readonly Mistake[] {
  if (typeof text !== "string" || text.length <= lengthMax) return [];
  return [{ pointer, message: `has ${text.length} characters, and at most ${lengthMax} are allowed` }];
}

/** What is wrong with an object of members that a caller chose, if anything. */
export function memberMistakes(pointer: string, members: object | undefined): readonly Mistake[] {
  const count = Object.keys(members ?? {}).length;
  if (count <= limits.entryMembersMax) return [];
  return [{ pointer, message: `has ${count} members, and at most ${limits.entryMembersMax} are allowed` }];
}
