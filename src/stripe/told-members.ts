import { ownMembers } from "../core/own-member.ts";

/** The members of an object that Stripe tells of, whatever it really is; null = it is no object. */
export function toldMembers(value: unknown): Readonly<Record<string, unknown>> | null {
  return typeof value === "object" && value !== null && !Array.isArray(value) ? ownMembers({ ...value }) : null;
}
