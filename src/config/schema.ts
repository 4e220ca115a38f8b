import { z } from "zod";

import { AGGREGATE_KINDS } from "../core/aggregation.ts";
import { EVENT_TIME_WINDOWS, LATE_POLICIES } from "../core/meter.ts";
import { codeSchema, durationSchema, expectations, patternSchema, textSchema } from "./field-schema.ts";
import { matchSchema } from "./match-schema.ts";
import { customerMeterSchema, guideSchema, meterTypeSchema, recordsSchema } from "./metering-schema.ts";
import { planSchema } from "./plan-schema.ts";
import { serverSchema } from "./server-schema.ts";

/** Names of meters and plans (also Stripe's event_name), at most 64 characters. */
const KEY_PATTERN = "[a-z0-9]+(?:_[a-z0-9]+)*";
/** Names of computed fields and of group labels: what an expression can spell. */
const NAME_PATTERN = "[A-Za-z_][A-Za-z0-9_]*";
/** Where a Stripe customer's company id stands. */
export const CUSTOMER_FIELD_PATTERN = "customer\\.id|customer\\.metadata\\.[A-Za-z0-9_-]{1,40}";

const path = (description: string): z.ZodString => codeSchema(description, "a field path");
const keyed = (pattern: string): z.ZodString => z.string().meta({ pattern: `^${pattern}$` });

const hookOrPaths = (description: string) =>
  z
    .union([
      path("hook or one field path."),
      z.array(path("hook or a field path such as request.user.companyId.")).min(1),
    ])
    .meta({ description })
    .register(expectations, { expected: "hook, a field path, or a list of them" });

const storageSchema = z.strictObject({
  path: textSchema("The SQLite file, relative to this file; ./data/meter.db when absent.").optional(),
  keepEvents: durationSchema(
    "How long raw events are kept; for ever when absent. Totals and sent reports always stay.",
  ).optional(),
  durability: z
    .enum(["process", "power", "memory"])
    .meta({
      description:
        "What counted usage survives: process (default) kill -9 and crashes, power also power loss, memory an orderly shutdown only.",
    })
    .optional(),
});

const identitySchema = z.strictObject({
  companyId: hookOrPaths("Who pays: the first that gives a value wins. hook is identifyCompany().").optional(),
  userId: hookOrPaths("Who used it: the first that gives a value wins. hook is identifyUser().").optional(),
  unknown: z
    .enum(["hold", "drop"])
    .meta({ description: "Events of nobody: hold (default) keeps them for assignment, drop forgets them." })
    .optional(),
});

const meterSchema = z.strictObject({
  name: textSchema("Name for people; the meter's key when absent.").optional(),
  unit: textSchema("What one is, in the singular: token.").optional(),
  eventType: textSchema(
    "Only events of this type: http.request, or the name of a tracked action. Any type when absent.",
  ).optional(),
  match: matchSchema.optional(),
  where: codeSchema("A further condition as a CEL expression over the event.", "a CEL expression").optional(),
  aggregate: z
    .enum(AGGREGATE_KINDS)
    .meta({ description: "How the values of events become a figure; count needs no value." }),
  value: path("Field path of the value: response.headers.X-Tokens-Used, or fields.<name>. Not for count.").optional(),
  groupBy: z
    .record(keyed(NAME_PATTERN), path("Field path of the label."))
    .meta({ description: "Labels that split the usage: label → field path." })
    .optional(),
  missingValue: z
    .enum(["hold", "zero", "skip"])
    .meta({
      description:
        "A matching event without the value: hold (default) shows it for decision, zero counts 0, skip ignores it.",
    })
    .optional(),
  allowNegative: z
    .boolean()
    .meta({ description: "Count negative values (corrections); otherwise they are held." })
    .optional(),
  report: z
    .boolean()
    .meta({ description: "Report this meter to the biller; true for count and sum, which alone can be reported." })
    .optional(),
  reportAs: textSchema(
    "The biller's name for this meter (Stripe: event_name); the meter's key when absent.",
  ).optional(),
  late: z
    .enum(LATE_POLICIES)
    .meta({
      description:
        "Usage that comes after its invoice is final: hold (default) shows it for decision, carry bills it in the present period, write_off never.",
    })
    .optional(),
  eventTimeWindow: z
    .enum(EVENT_TIME_WINDOWS)
    .meta({
      description:
        "What the biller's meter must have as its event time window; whatever it has is followed when absent.",
    })
    .optional(),
});

const reportSchema = z.strictObject({
  every: durationSchema("How often closed windows are sent; 1m when absent.").optional(),
  window: z
    .enum(["hour", "minute"])
    .meta({ description: "Span of usage in one report: hour (default); minute is for demos and tests." })
    .optional(),
  lateness: durationSchema(
    "How long a window waits for late events: 5m when absent, 0s for minute windows.",
  ).optional(),
  grace: durationSchema("How long the biller waits before an invoice is final; 1h when absent.").optional(),
  fractionDigits: z
    .int()
    .min(0)
    .max(12)
    .meta({ description: "Fraction digits that are sent; 0 (default) sends whole numbers and carries the rest." })
    .register(expectations, { expected: "a whole number from 0 to 12" })
    .optional(),
});

const stripeSchema = z.strictObject({
  apiKey: z
    .string()
    .meta({ description: "Always ${STRIPE_API_KEY} or another variable: a key written here in clear is an error." })
    .optional(),
  webhookSecret: z
    .string()
    .meta({
      description:
        "Always ${STRIPE_WEBHOOK_SECRET} or another variable: signing secret (whsec_) of the webhook endpoint; several between blanks.",
    })
    .optional(),
  mode: z.enum(["test", "live"]).meta({ description: "A live key is refused until this says live." }).optional(),
  map: z
    .strictObject({
      company_id: patternSchema(
        "Where a customer's company id stands: customer.metadata.<key>, or customer.id.",
        CUSTOMER_FIELD_PATTERN,
        'customer.id or a metadata field such as "customer.metadata.company_id"',
      ).optional(),
    })
    .meta({ description: "How a company is found in Stripe." })
    .optional(),
  unmatchedCustomer: z
    .enum(["hold", "create", "error"])
    .meta({
      description:
        "Usage of a company without a customer: hold (default) until the mapping appears, create the customer, or error.",
    })
    .optional(),
  noSubscription: z
    .enum(["hold", "send"])
    .meta({
      description:
        "Usage at a time at which its customer has no subscription with a price of the meter: hold (default) until one covers it, or send it, though it is on no invoice.",
    })
    .optional(),
  report: reportSchema.meta({ description: "When usage is reported." }).optional(),
  shadow: z
    .boolean()
    .meta({ description: "Do everything but the call: reports are made and shown, and never sent." })
    .optional(),
  apiBase: textSchema("Base URL of another Stripe, such as a local one.").optional(),
});

/** The shape of a configuration. What the values mean is checked by the rules, not here. */
export const configSchema = z.strictObject({
  $schema: z.string().meta({ description: "Where an editor finds this schema; ignored." }).optional(),
  version: z
    .literal(1)
    .meta({ description: "Version of this format." })
    .register(expectations, { expected: "1, the only version of this format" }),
  storage: storageSchema.meta({ description: "The local database." }).optional(),
  identity: identitySchema.meta({ description: "Who an exchange belongs to." }).optional(),
  fields: z
    .record(keyed(NAME_PATTERN), codeSchema("A CEL expression over the event.", "a CEL expression"))
    .meta({ description: "Computed fields: name → CEL expression; meters read them as fields.<name>." })
    .optional(),
  meters: z
    .record(keyed(KEY_PATTERN), meterSchema.meta({ description: "One meter." }))
    .meta({ description: "What is counted, by the meter's key." }),
  plans: z
    .record(keyed(KEY_PATTERN), planSchema.meta({ description: "One plan." }))
    .meta({ description: "What it costs, by the plan's key." })
    .optional(),
  meterTypes: z
    .record(z.string(), meterTypeSchema.meta({ description: "One meter type." }))
    .meta({ description: "Products that are metered per customer, by name; `meterbook provision` makes them." })
    .optional(),
  guides: z
    .record(keyed(KEY_PATTERN), guideSchema.meta({ description: "One guide." }))
    .meta({ description: "Streams of records and the meters that they update, by meter key." })
    .optional(),
  customerMeters: z
    .array(customerMeterSchema)
    .meta({ description: "Meters of customers; `meterbook provision` makes those that are missing." })
    .optional(),
  records: recordsSchema.meta({ description: "Final records: when they are made and where they go." }).optional(),
  billing: z
    .strictObject({ stripe: stripeSchema.meta({ description: "Reporting to Stripe." }).optional() })
    .meta({ description: "Where usage is reported." })
    .optional(),
  server: serverSchema.meta({ description: "The HTTP service of `meterbook serve`." }).optional(),
});

/** A configuration as its author writes it. */
export type ConfigShape = z.input<typeof configSchema>;
export type MeterInput = z.input<typeof meterSchema>;
export type PlanInput = z.input<typeof planSchema>;

/** The JSON Schema (2020-12) that gives editors completion and help; `${VAR}` is allowed wherever a text is. */
export function configJsonSchema(): object {
  return z.toJSONSchema(configSchema, {
    io: "input",
    override: ({ jsonSchema }) => {
      if (jsonSchema.enum?.every((value) => typeof value === "string") !== true) return;
      const { enum: values, type, ...rest } = jsonSchema;
      for (const key of ["enum", "type"] as const) delete jsonSchema[key];
      Object.assign(jsonSchema, rest, {
        anyOf: [
          { type, enum: values },
          { type: "string", pattern: "\\$\\{" },
        ],
      });
    },
  });
}
