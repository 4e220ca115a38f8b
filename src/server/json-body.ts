import type { Json } from "../core/event.ts";
import { parseExactJson } from "../core/exact-json.ts";
import { limits } from "../engine/limits.ts";

/** A body as JSON, or why it is none. `undefined` = there was no body. */
export type JsonReading =
  | { readonly ok: true; readonly value: Json | undefined }
  | { readonly ok: false; readonly status: 400 | 415; readonly message: string };

const QUOTE = 34;
const BACKSLASH = 92;
const COMMA = 44;

/** Reads a JSON body; numbers that a double cannot hold come back as their text. */
export function readJsonBody(bytes: Uint8Array, contentType: string | undefined): JsonReading {
  if (bytes.byteLength === 0) return { ok: true, value: undefined };
  const fault = typeFault(contentType);
  if (fault !== null) return { ok: false, status: 415, message: fault };
  let text: string;
  try {
    text = new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    return { ok: false, status: 400, message: "The body is not UTF-8." };
  }
  // Before anything recursive sees it: a parser or a printer that recurses would run out of stack.
  const excess = excessOf(text);
  if (excess !== null) return { ok: false, status: 400, message: excess };
  try {
    return { ok: true, value: parseExactJson(text) };
  } catch {
    return { ok: false, status: 400, message: "The body is not JSON." };
  }
}

function typeFault(contentType: string | undefined): string | null {
  const [type = "", ...parameters] = (contentType ?? "").split(";").map((part) => part.trim().toLowerCase());
  if (!/^application\/([\w.-]+\+)?json$/.test(type)) return "The content type is not application/json.";
  const charset = parameters.find((parameter) => parameter.startsWith("charset="))?.slice("charset=".length);
  return charset === undefined || /^"?utf-?8"?$/.test(charset) ? null : "The charset is not UTF-8.";
}

/** Counts brackets and commas outside of texts; of what is no JSON it may say anything. Null where all is within bounds. */
function excessOf(text: string): string | null {
  let depth = 0;
  let values = 1;
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (code === QUOTE) {
      at += 1;
      while (at < text.length && text.charCodeAt(at) !== QUOTE) at += text.charCodeAt(at) === BACKSLASH ? 2 : 1;
    } else if (code === COMMA) {
      values += 1;
      if (values > limits.httpJsonValuesMax) return `The body has more than ${limits.httpJsonValuesMax} values.`;
    } else if (code === 91 || code === 123) {
      depth += 1;
      values += 1;
      if (depth > limits.httpJsonDepthMax)
        return `Lists and objects of the body stand more than ${limits.httpJsonDepthMax} deep in one another.`;
    } else if (code === 93 || code === 125) depth -= 1;
  }
  return null;
}
