/**
 * Whether the whole text fits a glob: `*` stands for any characters, also none, `?` for exactly one character.
 * Case counts, and there is no escape: texts with a literal `*` are compared by eq or contains. Never backtracks past
 * the last star, so the cost is at most the product of both lengths.
 */
export function matchesGlob(pattern: string, text: string): boolean {
  let at = 0;
  let patternAt = 0;
  let starAt = -1;
  let resumeAt = 0;
  while (at < text.length) {
    const wanted = pattern[patternAt];
    if (wanted === "*") {
      starAt = patternAt;
      resumeAt = at;
      patternAt += 1;
    } else if (wanted === "?") {
      at += characterLength(text, at);
      patternAt += 1;
    } else if (wanted === text[at]) {
      at += 1;
      patternAt += 1;
    } else if (starAt >= 0) {
      resumeAt += characterLength(text, resumeAt);
      at = resumeAt;
      patternAt = starAt + 1;
    } else {
      return false;
    }
  }
  while (pattern[patternAt] === "*") patternAt += 1;
  return patternAt === pattern.length;
}

function characterLength(text: string, at: number): number {
  return (text.codePointAt(at) ?? 0) > 0xffff ? 2 : 1;
}
