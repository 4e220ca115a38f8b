import { z } from "zod";

import { expectations, textSchema } from "./field-schema.ts";

const wholeNumber = (description: string, min: number, max: number): z.ZodInt =>
  z
    .int()
    .min(min)
    .max(max)
    .meta({ description })
    .register(expectations, { expected: `a whole number from ${min} to ${max}` });

const KIB = 1024;
const MIB = 1024 * KIB;

const serverLimitsSchema = z.strictObject({
  bodyBytes: wholeNumber("Bytes of one body as it is sent; 5242880 (5 MiB) when absent.", KIB, 64 * MIB).optional(),
  inflatedBytes: wholeNumber(
    "Bytes of one body after inflating; 20971520 (20 MiB) when absent.",
    KIB,
    256 * MIB,
  ).optional(),
  batchEvents: wholeNumber("Events in one call; 1000 when absent.", 1, 2_000).optional(),
  eventBytes: wholeNumber(
    "Size of one event, by the characters of its texts; 262144 (256 KiB) when absent.",
    256,
    MIB,
  ).optional(),
  requestsPerSecond: wholeNumber("Calls a second of each key; no bound when absent.", 1, 1_000_000).optional(),
  bytesPerSecond: wholeNumber(
    "Bytes of bodies a second of each key; no bound when absent.",
    KIB,
    4 * KIB * MIB,
  ).optional(),
});

/** The `server` section: where the HTTP service listens, and what it takes. */
export const serverSchema = z.strictObject({
  host: textSchema(
    "Address to listen at; 127.0.0.1 when absent. Any other than this machine's own needs a key.",
  ).optional(),
  port: wholeNumber("Port to listen at; 8888 when absent, 0 is any free one.", 0, 65_535).optional(),
  basePath: z
    .string()
    .meta({
      description: "What stands before every path, such as /meterbook; nothing when absent.",
      examples: ["/meterbook"],
    })
    .optional(),
  tokenSecret: z
    .string()
    .meta({
      description:
        "Always ${METER_TOKEN_SECRET} or another variable: at least 32 bytes that sign customers' tokens. When absent, tokens end when the service stops.",
    })
    .optional(),
  metrics: z
    .boolean()
    .meta({ description: "Serve /metrics for Prometheus; needs the package prom-client." })
    .optional(),
  limits: serverLimitsSchema.meta({ description: "Bounds of what a call may bring." }).optional(),
});
