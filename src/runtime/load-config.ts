import { existsSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { basename, dirname, extname, isAbsolute, relative, resolve } from "node:path";

import { formatProblems, type Problem } from "../config/problem.ts";
import { readConfig, readConfigObject, type ConfigReading } from "../config/read-config.ts";
import type { Settings } from "../config/settings.ts";
import { MeterbookError, sentenceOf } from "../core/errors.ts";

/** File names that are looked for in the working directory, first one wins. */
const CONFIG_NAMES = [
  "meterbook.yaml",
  "meterbook.yml",
  "meterbook.json",
  "meterbook.js",
  "meterbook.mjs",
  "meterbook.ts",
];

export interface ConfigSource {
  /** Path of a file, a configuration object, or undefined to look for one of CONFIG_NAMES in `directory`. */
  readonly config: string | object | undefined;
  readonly directory: string;
  readonly env: Readonly<Record<string, string | undefined>>;
}

/** A configuration that could be read, with everything worth saying about it. */
export interface LoadedConfig {
  readonly settings: Settings;
  readonly warnings: readonly Problem[];
  /** False when there was no file and defaults are in force. */
  readonly found: boolean;
}

/** Thrown for a configuration with mistakes: all of them, with their places. */
export class ConfigError extends MeterbookError {
  readonly problems: readonly Problem[];

  constructor(problems: readonly Problem[]) {
    super(
      "METER_CONFIG_INVALID",
      `${formatProblems(problems)}\n${problems.length} ${problems.length === 1 ? "problem" : "problems"}.`,
      {
        remedy: "Correct the lines above; `meterbook check` shows them again.",
      },
    );
    this.problems = problems;
  }
}

/** The configuration file that would be used, as an absolute path; null when there is none. */
export function findConfig(source: Pick<ConfigSource, "config" | "directory">): string | null {
  if (typeof source.config === "string")
    return isAbsolute(source.config) ? source.config : resolve(source.directory, source.config);
  if (source.config !== undefined) return null;
  return CONFIG_NAMES.map((name) => resolve(source.directory, name)).find((path) => existsSync(path)) ?? null;
}

/**
 * Reads the configuration, whatever its form. A named file that is missing or unreadable and any mistake in it throw;
 * without any file the defaults are in force and `found` is false.
 */
export function loadConfig(source: ConfigSource): LoadedConfig {
  const path = findConfig(source);
  const { env } = source;
  if (path === null) {
    const value = source.config ?? { version: 1, meters: {} };
    return accept(readConfigObject(value, { file: null, env, directory: source.directory }), source);
  }
  const place = { file: path, env, directory: dirname(path) };
  const kind = extname(path);
  if (kind === ".js" || kind === ".mjs" || kind === ".ts")
    return accept(readConfigObject(importConfig(path), place), source);
  if (![".yaml", ".yml", ".json"].includes(kind)) {
    throw new MeterbookError(
      "METER_CONFIG_UNREADABLE",
      `${path} is no configuration: its name must end with .yaml, .yml, .json, .js, .mjs or .ts.`,
    );
  }
  return accept(readConfig({ ...place, text: readText(path), format: kind === ".json" ? "json" : "yaml" }), source);
}

function accept(reading: ConfigReading, source: ConfigSource): LoadedConfig {
  if (!reading.ok) throw new ConfigError(reading.problems.map((problem) => nearby(problem, source.directory)));
  return {
    settings: reading.settings,
    warnings: reading.warnings.map((problem) => nearby(problem, source.directory)),
    found: source.config !== undefined || reading.settings.file !== null,
  };
}

/** People read `meterbook.yaml:22:16`; only a file outside the working directory keeps its whole path. */
function nearby(problem: Problem, directory: string): Problem {
  if (problem.file === null) return problem;
  const short = relative(directory, problem.file);
  return short.startsWith("..") ? problem : { ...problem, file: short };
}

function readText(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch (cause) {
    if (!existsSync(path)) {
      throw new MeterbookError("METER_CONFIG_NOT_FOUND", `There is no file ${path}.`, {
        cause,
        remedy: "Run `meterbook init`, or name the file with --config.",
      });
    }
    throw new MeterbookError("METER_CONFIG_UNREADABLE", `${path} cannot be read: ${sentenceOf(cause)}`, {
      cause,
      remedy: "Check that it is a file and that this user may read it.",
    });
  }
}

/** Modules are required, not imported, because meter() answers synchronously; Node ≥ 20.19 requires ES modules too. */
function importConfig(path: string): unknown {
  if (!existsSync(path))
    throw new MeterbookError("METER_CONFIG_NOT_FOUND", `There is no file ${path}.`, {
      remedy: "Run `meterbook init`, or name the file with --config.",
    });
  try {
    const loaded: unknown = createRequire(import.meta.url)(path);
    return typeof loaded === "object" && loaded !== null && "default" in loaded ? loaded.default : loaded;
  } catch (cause) {
    const remedy =
      extname(path) === ".ts"
        ? "Node reads TypeScript from 22.18 on; on older Nodes pass defineConfig(…) to meter(), or use YAML."
        : "The file must export the configuration as its default.";
    throw new MeterbookError("METER_CONFIG_UNREADABLE", `${basename(path)} cannot be loaded: ${sentenceOf(cause)}`, {
      cause,
      remedy,
    });
  }
}
