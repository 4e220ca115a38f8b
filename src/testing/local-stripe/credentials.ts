import type { ApiKey, LocalState } from "./state.ts";
import { refuse } from "./stripe-refusal.ts";

/** The key that a call was made with: Bearer, or the user of Basic. Refuses a missing, unknown or other mode's key. */
export function readApiKey(state: LocalState, authorization: string | undefined): ApiKey {
  const key = presentedKey(authorization);
  if (key === null) {
    return refuse("http.key_missing", {
      status: 401,
      message:
        "You did not provide an API key. You need to provide your API key in the Authorization header, using Bearer auth (e.g. 'Authorization: Bearer YOUR_SECRET_KEY').",
    });
  }
  const { apiKeys, mode } = state.settings;
  const ofMode = new RegExp(`^(?:sk|rk)_${mode}_.+`).test(key);
  const known = apiKeys === null ? (ofMode ? { key } : undefined) : apiKeys.find((each) => each.key === key);
  return known ?? refuse("http.key_invalid", { status: 401, message: `Invalid API Key provided: ${masked(key)}` });
}

/** Refuses a restricted key that lacks a right. */
export function checkRight(state: LocalState, key: ApiKey, right: string): void {
  if (key.rights !== undefined && !key.rights.includes(right)) {
    refuse("http.right_missing", {
      status: 403,
      message: `The provided key '${masked(key.key)}' does not have the required permissions for this endpoint on account '${state.settings.account}'. Having the '${right}' permission would allow this request to continue.`,
    });
  }
}

function presentedKey(authorization: string | undefined): string | null {
  const [scheme = "", credentials = ""] = (authorization ?? "").split(" ");
  const key =
    scheme.toLowerCase() === "basic" ? Buffer.from(credentials, "base64").toString().split(":")[0] : credentials;
  return key === undefined || key === "" ? null : key;
}

function masked(key: string): string {
  return `${key.slice(0, 8)}****${key.slice(-4)}`;
}
