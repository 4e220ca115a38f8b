import { formatProblems, readConfig, type ConfigReading, type Settings } from "../../src/config/index.ts";

const env = { STRIPE_API_KEY: "sk_test_x" };

/** Reads a text as /app/meterbook.yaml. */
export function read(
  text: string,
  options: { env?: Record<string, string>; format?: "yaml" | "json" } = {},
): ConfigReading {
  return readConfig({
    text,
    format: options.format ?? "yaml",
    file: "/app/meterbook.yaml",
    env: options.env ?? env,
    directory: "/app",
  });
}

/** The settings, or a failure that prints the problems. */
export function accepted(reading: ConfigReading): Settings {
  if (!reading.ok) throw new Error(formatProblems(reading.problems));
  return reading.settings;
}

/** Problems or warnings as lines. */
export function printed(reading: ConfigReading): string {
  return formatProblems(reading.ok ? reading.warnings : reading.problems).replaceAll("/app/", "");
}

/** A configuration whose one meter has these lines. */
export const meter = (lines: string): string => `version: 1\nmeters:\n  m:\n${lines.replaceAll(/^/gm, "    ")}\n`;
