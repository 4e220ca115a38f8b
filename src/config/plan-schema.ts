import { z } from "zod";

import { amountSchema, patternSchema, textSchema } from "./field-schema.ts";

export const PERIODS = ["day", "week", "month", "year"] as const;
export const PRICE_MODELS = ["perUnit", "graduated", "volume", "package", "flat"] as const;
/** ISO 4217 code in lower case, as Stripe writes it. */
export const CURRENCY_PATTERN = "[a-z]{3}";

const meterName = "The meter whose usage is priced.";

const tierSchema = z.strictObject({
  upTo: amountSchema("Last quantity of this tier, included; absent in the last tier.").optional(),
  unitAmount: amountSchema("Price of each unit in this tier.").optional(),
  flatAmount: amountSchema("Price of the tier as a whole.").optional(),
});

const tiersSchema = z.array(tierSchema).min(1).meta({ description: "Tiers in ascending order; the last has no upTo." });

const perUnitSchema = z.strictObject({
  meter: textSchema(meterName),
  model: z.literal("perUnit").meta({ description: "quantity × unitAmount" }),
  unitAmount: amountSchema("Price of one unit, in the currency's major unit (dollars), quoted so that it stays exact."),
});

const graduatedSchema = z.strictObject({
  meter: textSchema(meterName),
  model: z.literal("graduated").meta({ description: "Each unit costs what its own tier says." }),
  tiers: tiersSchema,
});

const volumeSchema = z.strictObject({
  meter: textSchema(meterName),
  model: z.literal("volume").meta({ description: "All units cost what the tier of the whole quantity says." }),
  tiers: tiersSchema,
});

const packageSchema = z.strictObject({
  meter: textSchema(meterName),
  model: z.literal("package").meta({ description: "Begun packages × unitAmount." }),
  packageSize: amountSchema("Units in one package."),
  unitAmount: amountSchema("Price of one package."),
});

const flatSchema = z.strictObject({
  meter: textSchema(meterName).optional(),
  model: z.literal("flat").meta({ description: "A fixed price per period, whatever the usage." }),
  flatAmount: amountSchema("Price of the period."),
});

const priceSchema = z.discriminatedUnion("model", [
  perUnitSchema,
  graduatedSchema,
  volumeSchema,
  packageSchema,
  flatSchema,
]);

export const planSchema = z.strictObject({
  name: textSchema("Name for people; the plan's key when absent.").optional(),
  currency: patternSchema(
    "Three-letter currency code, lower case.",
    CURRENCY_PATTERN,
    'a three-letter currency code such as "usd"',
  ),
  every: z.enum(PERIODS).meta({ description: "Length of a billing period; month when absent." }).optional(),
  prices: z.array(priceSchema).meta({ description: "What is charged; each price is a line of the invoice." }),
});
