/** RFC 3339 with milliseconds, in UTC. */
export function instantText(ms: number): string;
export function instantText(ms: number | null): string | null;
export function instantText(ms: number | null): string | null {
  return ms === null ? null : new Date(ms).toISOString();
}

/** Texts of instants, remembering the last ones: an answer has few windows and many rows. */
export function instantTexts(): (ms: number) => string {
  const known = new Map<number, string>();
  return (ms) => {
    let text = known.get(ms);
    if (text === undefined) {
      if (known.size >= INSTANTS_KEPT) known.clear();
      text = instantText(ms);
      known.set(ms, text);
    }
    return text;
  };
}

const INSTANTS_KEPT = 1_000;
