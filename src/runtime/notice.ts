import type { JournalProblem } from "../journal/problem.ts";

/** What a part tells its surroundings, each with a code of core/errors. */
export interface Notice {
  readonly code: string;
  readonly text: string;
}

/** A journal's problem in one sentence; its end says how much was refused meanwhile. */
export function noticeOfProblem({ phase, error, refused }: JournalProblem): Notice {
  const remedy = error.remedy === null ? "" : ` ${error.remedy}`;
  return {
    code: error.code,
    text:
      phase === "over"
        ? `It works again; ${refused} events were refused meanwhile. Before: ${error.message}`
        : `${error.message}${remedy}`,
  };
}
