/** First character of a text that SQLite's UTF-8 could not hold as it is. */
const ESCAPE = "\u0001";

/** The text to store: itself, or escaped when it has a lone surrogate, which UTF-8 would turn into a replacement character. */
export function storedText(text: string): string {
  return /\p{Surrogate}/u.test(text) || text.startsWith(ESCAPE) ? ESCAPE + JSON.stringify(text) : text;
}

/** The text that was given to storedText. */
export function originalText(stored: string): string {
  return stored.startsWith(ESCAPE) ? JSON.parse(stored.slice(1)) : stored;
}
