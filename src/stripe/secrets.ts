const KEY_FORM = /\b((?:sk|rk|pk)_(?:test|live)_|whsec_)[\w*+/=-]+/g;

/** The text without anything that looks like an API key or a webhook secret: errors and reasons are stored and printed. */
export function withoutSecrets(text: string, apiKey?: string): string {
  const cleaned = apiKey === undefined || apiKey === "" ? text : text.replaceAll(apiKey, "(key)");
  return cleaned.replace(KEY_FORM, "$1…").slice(0, TEXT_LENGTH_MAX);
}

const TEXT_LENGTH_MAX = 500;
