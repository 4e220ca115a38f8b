import { bounds } from "./bounds.ts";
import { substituteVariables, type Environment } from "./environment.ts";
import { checkFields } from "./field-rules.ts";
import { checkIdentity } from "./identity-rules.ts";
import { readJson } from "./json-source.ts";
import { checkMetering } from "./metering-rules.ts";
import { checkMeters } from "./meter-rules.ts";
import { readObject } from "./object-source.ts";
import { rootPlace } from "./place.ts";
import { checkPlans } from "./plan-rules.ts";
import type { Problem } from "./problem.ts";
import { createReport, type Report } from "./report.ts";
import { reportWrittenKeys } from "./secret-rules.ts";
import { checkServer } from "./server-rules.ts";
import type { Settings } from "./settings.ts";
import { checkShape } from "./shape.ts";
import type { SourceNode, SourcePath } from "./source.ts";
import { checkStorage } from "./storage-rules.ts";
import { checkStripe } from "./stripe-rules.ts";
import { readYaml } from "./yaml-source.ts";

/** What surrounds a configuration. */
export interface ConfigSurroundings {
  /** Its file, shown in problems and kept in the settings; null for an object of a program. */
  readonly file: string | null;
  /** Variables for `${VAR}`. */
  readonly env: Environment;
  /** Absolute folder that relative paths start from. */
  readonly directory: string;
}

export interface ConfigText extends ConfigSurroundings {
  readonly text: string;
  readonly format: "yaml" | "json";
}

/** The settings, or every mistake by position; warnings are about what works and is probably not meant. */
export type ConfigReading =
  | { readonly ok: true; readonly settings: Settings; readonly warnings: readonly Problem[] }
  | { readonly ok: false; readonly problems: readonly Problem[] };

/** Reads a configuration's text. Never throws: what is wrong is in the result, all of it at once. */
export function readConfig(config: ConfigText): ConfigReading {
  const report = createReport(config.file);
  if (config.text.length > bounds.textLengthMax) {
    report.error({
      path: [],
      at: { line: 1, column: 1 },
      kind: "syntax",
      message: `the file is longer than ${bounds.textLengthMax} characters`,
    });
    return conclude(null, report);
  }
  const root = config.format === "json" ? readJson(config.text, report) : readYaml(config.text, report);
  const cleared = reportWrittenKeys({ text: config.text, root }, report);
  return conclude(cleared === null ? null : check(cleared, config, false, report), report);
}

/** Reads a configuration given as an object (`defineConfig`); problems carry paths and no positions. Never throws. */
export function readConfigObject(value: unknown, surroundings: ConfigSurroundings): ConfigReading {
  const report = createReport(surroundings.file);
  const cleared = reportWrittenKeys({ text: null, root: readObject(value, report) }, report);
  return conclude(cleared === null ? null : check(cleared, surroundings, true, report), report);
}

/** Without them usage is kept and webhooks are not taken: no reason for an app not to start. */
const isStripeSecretPath = (path: SourcePath): boolean =>
  ["billing.stripe.apiKey", "billing.stripe.webhookSecret"].includes(path.join("."));

function check(
  written: SourceNode,
  surroundings: ConfigSurroundings,
  mayHoldKey: boolean,
  report: Report,
): Settings | null {
  if (written.kind !== "map") {
    if (written.kind !== "broken")
      report.error({ path: [], at: written.at, message: "expected a map with version and meters", received: written });
    return null;
  }
  const source = substituteVariables(written, surroundings.env, report, isStripeSecretPath);
  checkShape(source, report);
  const root = rootPlace(source, report);
  const fields = checkFields(root);
  const metering = checkMetering(root, { directory: surroundings.directory, mayHoldKey });
  return {
    version: 1,
    file: surroundings.file,
    storage: checkStorage(root, surroundings.directory),
    identity: checkIdentity(root),
    fields,
    meters: checkMeters(
      root,
      root
        .child("fields")
        ?.children()
        .map((field) => field.key) ?? [],
    ),
    plans: checkPlans(root),
    billing: { stripe: checkStripe(root, { mayHoldKey }) },
    server: checkServer(root, { mayHoldSecret: mayHoldKey }),

    ...(metering === null ? {} : { metering }),
  };
}

function conclude(settings: Settings | null, report: Report): ConfigReading {
  if (settings === null || report.hasErrors()) return { ok: false, problems: report.problems("error") };
  return { ok: true, settings, warnings: report.problems("warning") };
}
