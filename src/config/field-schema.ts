import { z } from "zod";

import { DURATION_PATTERN } from "./duration.ts";

/** What a value is called in messages (`expected a duration such as "30s"`); the JSON Schema does not carry it. */
export const expectations = z.registry<{ readonly expected: string }>();

/** What an editor sees before `${VAR}` is replaced: any text that holds one is as good as the wanted form. */
const orVariable = (pattern: string): string => `^(?:${pattern})$|\\$\\{`;

export const textSchema = (description: string): z.ZodString => z.string().min(1).meta({ description });

/** A field path or CEL expression. */
export const codeSchema = (description: string, expected: string): z.ZodString =>
  z.string().min(1).meta({ description }).register(expectations, { expected });

export const durationSchema = (description: string): z.ZodString =>
  z
    .string()
    .meta({ description, pattern: orVariable(DURATION_PATTERN), examples: ["30s", "5m", "1h", "400d"] })
    .register(expectations, { expected: DURATION_EXPECTED });

export const amountSchema = (description: string): z.ZodString =>
  z
    .string()
    .meta({ description, pattern: orVariable("[0-9]+(?:\\.[0-9]+)?"), examples: ["0.002"] })
    .register(expectations, { expected: AMOUNT_EXPECTED });

export const patternSchema = (description: string, pattern: string, expected: string): z.ZodString =>
  z
    .string()
    .meta({ description, pattern: orVariable(pattern) })
    .register(expectations, { expected });

export const DURATION_EXPECTED = 'a duration such as "30s", "5m" or "400d"';
export const AMOUNT_EXPECTED = 'a decimal number in quotes such as "0.002"';
