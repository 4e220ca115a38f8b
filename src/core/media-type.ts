/** A content type, taken apart: `application/json; charset=utf-8`. */
export interface MediaType {
  /** Lower case, without parameters. */
  readonly name: string;
  /** Lower case; null where it is not stated. */
  readonly charset: string | null;
}

const TOKEN = "[!#$%&'*+.^_`|~0-9A-Za-z-]+";
const NAME = new RegExp(`^\\s*(${TOKEN}/${TOKEN})\\s*`);
const PARAMETER = new RegExp(`;\\s*(?:(${TOKEN})=(?:(${TOKEN})|"((?:[^"\\\\]|\\\\.)*)"))?\\s*`, "y");
/** A longer header field is nobody's content type. */
const LENGTH_MAX = 1_000;

/** Reads a Content-Type field (RFC 9110, 8.3.1); null for what is none, and for two charsets that differ. */
export function readMedia(field: string): MediaType | null {
  const name = field.length > LENGTH_MAX ? null : NAME.exec(field);
  if (name === null) return null;
  let charset: string | null = null;
  let at = name[0].length;
  while (at < field.length) {
    PARAMETER.lastIndex = at;
    const parameter = PARAMETER.exec(field);
    if (parameter === null) return null;
    at = PARAMETER.lastIndex;
    const [, key, token, quoted] = parameter;
    if (key?.toLowerCase() !== "charset") continue;
    const value = (token ?? (quoted ?? "").replace(/\\(.)/g, "$1")).toLowerCase();
    if (charset !== null && charset !== value) return null;
    charset = value;
  }
  return { name: (name[1] ?? "").toLowerCase(), charset };
}

/** Whether a media type is JSON's: `application/json`, any `…/json` and any `…+json`. */
export function isJsonMedia(name: string): boolean {
  return /^[^/\s]+\/(?:[^/\s]+\+)?json$/i.test(name);
}
