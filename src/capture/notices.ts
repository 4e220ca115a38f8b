import { MeterbookError, type ErrorCode } from "../core/errors.ts";
import { limits } from "../engine/limits.ts";
import { nearName } from "../core/near-name.ts";

/** Where a start-up check speaks: its code, and a text that ends with the way out. */
export type Notify = (code: ErrorCode, text: string) => void;

/** The start-up checks of capture. Each is told once in the life of the process. */
export interface Notices {
  /** Tells once per code, or once per `topic` of a code. Never throws. */
  tell(code: ErrorCode, text: string, topic?: string): void;
  /** An exchange was attributed to a company, or to nobody. */
  attributed(isKnown: boolean): void;
  /** The names in the head of a response that a meter may look at, lower case. */
  headSeen(names: readonly string[]): void;
  /** False once there is nothing left to look for in heads. */
  readonly watchesHeads: boolean;
}

const NO_IDENTITY_TEXT = `None of the first ${limits.startUpRequests} requests was attributed to a company: their usage is kept and held, not billed. Tell who pays, for example: meter({ identifyCompany: (req) => req.get("x-organization-id") }) (plain node:http: req.headers["x-organization-id"]), or identity.companyId in the configuration. Held events can be assigned later.`;

/** Watches for nobody identified, and for metered response headers that never come. `headers` are lower case. */
export function createNotices(notify: Notify, headers: readonly string[]): Notices {
  const told = new Set<string>();
  const missing = new Set(headers);
  const seen = new Set<string>();
  let heads = 0;
  let anonymous: number | null = 0;

  const tell: Notices["tell"] = (code, text, topic = "") => {
    if (told.has(`${code} ${topic}`)) return;
    told.add(`${code} ${topic}`);
    try {
      notify(code, text);
    } catch {
      // A listener that throws must not harm the request it was told about.
    }
  };

  const heard = (): void => {
    for (const name of missing) tell("METER_HEADER_NEVER_SEEN", neverSeen(name, seen), name);
    missing.clear();
    seen.clear();
  };

  return {
    tell,
    attributed(isKnown) {
      if (anonymous === null) return;
      if (isKnown) anonymous = null;
      else if (++anonymous >= limits.startUpRequests) {
        anonymous = null;
        tell("METER_NO_IDENTITY", NO_IDENTITY_TEXT);
      }
    },
    headSeen(names) {
      for (const name of names) {
        missing.delete(name);
        seen.add(name);
      }
      if (++heads >= limits.startUpRequests) heard();
    },
    get watchesHeads() {
      return missing.size > 0;
    },
  };
}

function neverSeen(name: string, seen: ReadonlySet<string>): string {
  const meant = nearName(name, seen);
  const hint =
    meant === null
      ? "Check the name in the meter, or set the header in the handler."
      : `Did you mean ${titleCase(meant)}?`;
  return `A meter reads response header ${titleCase(name)}, which none of the first ${limits.startUpRequests} responses had. ${hint}`;
}

/** Header names as people write them: `x-tokens-used` is X-Tokens-Used. */
function titleCase(name: string): string {
  return name.replace(/(^|-)([a-z])/g, (_, dash: string, letter: string) => dash + letter.toUpperCase());
}

/** The error behind a hook's failure, as onError gets it. `effect` says what becomes of the event. */
export function hookFailure(hook: string, detail: string, cause?: unknown, effect: string = HELD): MeterbookError {
  return new MeterbookError("METER_HOOK_FAILED", `${hook}: ${detail}`, {
    ...(cause === undefined ? {} : { cause }),
    remedy: `${effect} Correct the hook${effect === HELD ? "; held events can be assigned to a company later" : ""}.`,
  });
}

const HELD = "The event is kept and held.";
