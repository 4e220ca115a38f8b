/**
 * How well a behaviour is known: `documented` by Stripe; `seen live` = recorded by other people's code or reports of the
 * real service; `guessed` = no source settles it, so no design may rest on it.
 */
type Mark = "documented" | "seen live" | "guessed";

export interface Behaviour {
  readonly mark: Mark;
  /** The rule in words. */
  readonly rule: string;
}

export const documented = (rule: string): Behaviour => ({ mark: "documented", rule });
export const seenLive = (rule: string): Behaviour => ({ mark: "seen live", rule });
export const guessed = (rule: string): Behaviour => ({ mark: "guessed", rule });
