const BACKSLASH = 92;
const QUOTE = 34;

/** Whether lists and objects lie within one another more than `depthMax` deep. `json` must be valid JSON. */
export function isDeeper(json: string, depthMax: number): boolean {
  // Each level takes two characters.
  if (json.length <= depthMax * 2) return false;
  let depth = 0;
  for (let at = 0; at < json.length; at++) {
    const code = json.charCodeAt(at);
    if (code === QUOTE) at = endOfString(json, at);
    else if (code === 91 || code === 123) {
      if (++depth > depthMax) return true;
    } else if (code === 93 || code === 125) depth--;
  }
  return false;
}

/** The closing quote of a string. */
function endOfString(json: string, start: number): number {
  for (let at = json.indexOf('"', start + 1); at !== -1; at = json.indexOf('"', at + 1)) {
    let backslashes = 0;
    while (json.charCodeAt(at - 1 - backslashes) === BACKSLASH) backslashes++;
    if (backslashes % 2 === 0) return at;
  }
  return json.length;
}

/** Above this a text is left to JSON.stringify, which is then the quicker one. */
const QUICK_LENGTH_MAX = 64;

/** A JSON string literal, equal to JSON.stringify's; short plain ASCII takes a quick path. */
export function quote(text: string): string {
  if (text.length > QUICK_LENGTH_MAX) return JSON.stringify(text);
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at);
    // Quote, backslash, control characters and all that is not ASCII (lone surrogates need an escape).
    if (code < 32 || code > 126 || code === 34 || code === 92) return JSON.stringify(text);
  }
  return `"${text}"`;
}

/** A JSON object of strings and lists of strings. */
export function stringsObject(values: Readonly<Record<string, string | readonly string[]>>): string {
  let text = "";
  for (const name of Object.keys(values)) {
    const value = values[name];
    if (value === undefined) continue;
    text += `${text === "" ? "" : ","}${quote(name)}:${typeof value === "string" ? quote(value) : stringsArray(value)}`;
  }
  return `{${text}}`;
}

export function stringsArray(values: readonly string[]): string {
  let text = "";
  for (const value of values) text += `${text === "" ? "" : ","}${quote(value)}`;
  return `[${text}]`;
}
