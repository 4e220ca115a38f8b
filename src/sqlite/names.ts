import type { Connection } from "./connection.ts";
import { originalText, storedText } from "./stored-text.ts";

/** Texts kept in memory per direction; beyond it the memory starts anew, the table has them all. */
const NAMES_CACHED_MAX = 50_000;

/** The dictionary of repeated texts: companies, users, routes, sources … are small numbers in the other tables. */
export class Names {
  private readonly connection: Connection;
  private readonly codes = new Map<string, number>();
  private readonly texts = new Map<number, string>();

  constructor(connection: Connection) {
    this.connection = connection;
  }

  /** The code of a text, given out when it has none. Only inside a write transaction. */
  code(text: string): number {
    const cached = this.codes.get(text);
    if (cached !== undefined) return cached;
    const known = this.find(text);
    if (known !== null) return known;
    const { lastInsertRowid } = this.connection.sql("INSERT INTO names (text) VALUES (?)").run(storedText(text));
    return this.remember(text, Number(lastInsertRowid));
  }

  codeOrNull(text: string | null | undefined): number | null {
    return text === null || text === undefined ? null : this.code(text);
  }

  /** The code of a text; null when no row can have it. */
  find(text: string): number | null {
    const cached = this.codes.get(text);
    if (cached !== undefined) return cached;
    const found = this.connection.sql("SELECT code FROM names WHERE text = ?").pluck().get(storedText(text));
    return typeof found === "number" ? this.remember(text, found) : null;
  }

  text(code: number): string {
    const cached = this.texts.get(code);
    if (cached !== undefined) return cached;
    const found = this.connection.sql("SELECT text FROM names WHERE code = ?").pluck().get(code);
    if (typeof found !== "string") throw new TypeError(`names has no code ${code}`);
    const text = originalText(found);
    this.remember(text, code);
    return text;
  }

  /** Empties the memory, after a rollback or a new opening of the file. */
  forget(): void {
    this.codes.clear();
    this.texts.clear();
  }

  private remember(text: string, code: number): number {
    if (this.codes.size >= NAMES_CACHED_MAX) this.codes.clear();
    if (this.texts.size >= NAMES_CACHED_MAX) this.texts.clear();
    this.codes.set(text, code);
    this.texts.set(code, text);
    return code;
  }
}
