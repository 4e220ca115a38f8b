import { INTERVALS } from "./billing/records.ts";
import { invalidOption } from "./options.ts";
import {
  seedCustomer,
  seedMeter,
  seedSubscription,
  seedWebhook,
  type SeedCustomer,
  type SeededSubscription,
  type SeededWebhook,
  type SeedMeter,
  type SeedSubscription,
  type SeedWebhook,
} from "./seeds.ts";
import type { LocalState } from "./state.ts";

/** What a seed file holds; a subscription names its customer by id, so give customers ids. */
export interface SeedFile {
  readonly customers?: readonly SeedCustomer[];
  readonly meters?: readonly SeedMeter[];
  readonly subscriptions?: readonly SeedSubscription[];
  readonly webhooks?: readonly SeedWebhook[];
}

/** What was put there, in the order of the file. */
export interface Seeded {
  readonly customers: readonly { readonly id: string }[];
  readonly meters: readonly { readonly id: string; readonly event_name: string }[];
  readonly subscriptions: readonly SeededSubscription[];
  readonly webhooks: readonly SeededWebhook[];
}

type Shape = "text" | "number" | "texts" | "text map" | "boolean" | readonly (string | null)[];

const SHAPES: Readonly<Record<keyof SeedFile, Readonly<Record<string, Shape>>>> = {
  customers: { id: "text", email: "text", name: "text", description: "text", metadata: "text map" },
  meters: {
    event_name: "text",
    display_name: "text",
    formula: ["sum", "count", "last"],
    customer_key: "text",
    value_key: "text",
    event_time_window: ["hour", "day", null],
  },
  subscriptions: {
    customer: "text",
    meters: "texts",
    interval: INTERVALS,
    anchor: "number",
    trialEnd: "number",
    unitAmountDecimal: "text",
  },
  webhooks: { url: "text", events: "texts", thin: "boolean" },
};
const REQUIRED: Readonly<Record<keyof SeedFile, readonly string[]>> = {
  customers: [],
  meters: ["event_name"],
  subscriptions: ["customer", "meters"],
  webhooks: ["url", "events"],
};

/** Puts the customers, meters, subscriptions and webhooks of a parsed JSON value there; throws a MeterbookError for what is none. */
export function applySeed(state: LocalState, value: unknown): Seeded {
  if (!isSeedFile(value)) {
    throw invalidOption("A seed has lists of customers, meters, subscriptions and webhooks.");
  }
  return {
    customers: (value.customers ?? []).map((seed) => ({ id: seedCustomer(state, seed).id })),
    meters: (value.meters ?? []).map((seed) => {
      const { id, event_name } = seedMeter(state, seed);
      return { id, event_name };
    }),
    subscriptions: (value.subscriptions ?? []).map((seed) => seedSubscription(state, seed)),
    webhooks: (value.webhooks ?? []).map((seed) => seedWebhook(state, seed)),
  };
}

function isSeedFile(value: unknown): value is SeedFile {
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    return false;
  }
  for (const [list, entries] of Object.entries<unknown>({ ...value })) {
    if (!isListName(list) || !Array.isArray(entries)) {
      throw invalidOption(`A seed has lists of customers, meters, subscriptions and webhooks, not ${list}.`);
    }
    entries.forEach((entry: unknown, index) => checkEntry(list, index, entry));
  }
  return true;
}

function isListName(name: string): name is keyof SeedFile {
  return Object.hasOwn(SHAPES, name);
}

function checkEntry(list: keyof SeedFile, index: number, entry: unknown): void {
  const place = `${list}[${String(index)}]`;
  if (typeof entry !== "object" || entry === null || Array.isArray(entry)) {
    throw invalidOption(`${place} must be an object.`);
  }
  const fields = new Map<string, unknown>(Object.entries(entry));
  const absent = REQUIRED[list].find((name) => !fields.has(name));
  if (absent !== undefined) {
    throw invalidOption(`${place} needs ${absent}.`);
  }
  for (const [name, value] of fields) {
    const shape = Object.hasOwn(SHAPES[list], name) ? SHAPES[list][name] : undefined;
    if (shape === undefined || !hasShape(value, shape)) {
      throw invalidOption(
        `${place}.${name} is ${shape === undefined ? "not known" : `not a valid value: ${JSON.stringify(value)}`}.`,
      );
    }
  }
}

function hasShape(value: unknown, shape: Shape): boolean {
  switch (shape) {
    case "text":
      return typeof value === "string";
    case "number":
      return typeof value === "number" && Number.isSafeInteger(value);
    case "boolean":
      return typeof value === "boolean";
    case "texts":
      return Array.isArray(value) && value.every((each) => typeof each === "string");
    case "text map":
      return (
        typeof value === "object" &&
        value !== null &&
        Object.values<unknown>({ ...value }).every((each) => typeof each === "string")
      );
    default:
      return shape.some((choice) => choice === value);
  }
}
