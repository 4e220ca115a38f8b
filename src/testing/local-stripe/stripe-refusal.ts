import type { BehaviourKey } from "./behaviours.ts";

/** What an error answer says. `type` is invalid_request_error unless told. */
export interface RefusalText {
  readonly status?: number;
  readonly message: string;
  readonly type?: "invalid_request_error" | "idempotency_error" | "api_error";
  readonly code?: string;
  readonly param?: string;
  readonly headers?: Readonly<Record<string, string>>;
}

/** An error answer of the local Stripe on its way out; never leaves the server as a thrown error. */
export class StripeRefusal extends Error {
  readonly behaviour: BehaviourKey;
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  /** The JSON body. */
  readonly body: { readonly error: Readonly<Record<string, string>> };

  constructor(behaviour: BehaviourKey, text: RefusalText) {
    super(text.message);
    this.name = "StripeRefusal";
    this.behaviour = behaviour;
    this.status = text.status ?? 400;
    this.headers = text.headers ?? {};
    this.body = {
      error: {
        ...(text.code === undefined ? {} : { code: text.code }),
        message: text.message,
        ...(text.param === undefined ? {} : { param: text.param }),
        type: text.type ?? "invalid_request_error",
      },
    };
  }
}

/** Ends the call with an error answer, marked with the behaviour that it shows. */
export function refuse(behaviour: BehaviourKey, text: RefusalText): never {
  throw new StripeRefusal(behaviour, text);
}

/** Refuses an id that nothing has: 404 where the path named it, 400 where a parameter did. */
export function refuseMissing(behaviour: BehaviourKey, noun: string, id: string, param = "id"): never {
  const status = param === "id" ? 404 : 400;
  return refuse(behaviour, { status, message: `No such ${noun}: '${id}'`, code: "resource_missing", param });
}
