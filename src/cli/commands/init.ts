import { existsSync, writeFileSync } from "node:fs";
import { dirname, resolve } from "node:path";
import { createInterface } from "node:readline/promises";

import { Command } from "commander";

import { readConfig } from "../../config/read-config.ts";
import { MeterbookError, sentenceOf } from "../../core/errors.ts";
import { output } from "../output.ts";

interface InitOptions {
  readonly yes?: boolean;
  readonly force?: boolean;
  readonly json?: boolean;
  readonly config?: string;
  readonly route: string;
  readonly value: string;
  readonly meter: string;
}

/** `meterbook init`: writes a meterbook.yaml of a dozen lines after three questions. */
export function initCommand(): Command {
  return new Command("init")
    .description("Write a meterbook.yaml: three questions, or --yes for the defaults")
    .option("-y, --yes", "ask nothing")
    .option("--force", "replace a file that is there")
    .option("--meter <name>", "name of the meter", "chat_tokens")
    .option("--route <route>", "route to meter", "/chat")
    .option("--value <path>", "where the number is", "response.headers.X-Tokens-Used")
    .addHelpText("after", "\nExample: meterbook init --yes --route /v1/chat --value response.body.usage.total_tokens")
    .action(async (options: InitOptions) => {
      const out = output({ json: options.json === true });
      const file = resolve(options.config ?? "meterbook.yaml");
      if (existsSync(file) && options.force !== true) {
        throw new MeterbookError("METER_COMMAND_INVALID", `${file} is there already; nothing was changed.`, {
          remedy: "Use --force to replace it.",
        });
      }
      const asks = options.yes !== true && process.stdin.isTTY === true && out.interactive;
      const answers = asks ? await ask(options) : options;
      const text = template(answers);
      const reading = readConfig({
        text,
        format: "yaml",
        file: null,
        env: { STRIPE_API_KEY: "" },
        directory: dirname(file),
      });
      if (!reading.ok) {
        const problems = reading.problems.map(
          ({ path, message, suggestion }) =>
            `${path}: ${message}${suggestion === undefined ? "" : `  Did you mean "${suggestion}"?`}`,
        );
        throw new MeterbookError(
          "METER_COMMAND_INVALID",
          `These answers make no valid configuration; nothing was written.\n${problems.join("\n")}`,
          { remedy: "Give others with --meter, --route and --value." },
        );
      }
      write(file, text, options.force === true);
      if (out.json) return out.record({ file, meter: answers.meter });
      out.line(`Wrote ${file}`);
      out.line("");
      out.line("In your app:");
      out.line('  import { meter } from "meterbook";');
      out.line("  app.use(meter({ identifyCompany: (req) => req.user?.companyId }));");
      out.line("");
      out.line("Then: npx meterbook dev -- node server.js");
    });
}

function write(file: string, text: string, isForced: boolean): void {
  try {
    writeFileSync(file, text, { flag: isForced ? "w" : "wx" });
  } catch (cause) {
    throw new MeterbookError("METER_COMMAND_INVALID", `${file} cannot be written: ${sentenceOf(cause)}`, {
      cause,
      remedy: "Name a file in a folder that is there and that you may write to, with --config.",
    });
  }
}

async function ask(defaults: InitOptions): Promise<Pick<InitOptions, "meter" | "route" | "value">> {
  const prompt = createInterface({ input: process.stdin, output: process.stdout });
  const question = async (text: string, fallback: string): Promise<string> =>
    (await prompt.question(`${text} (${fallback}) `)).trim() || fallback;
  try {
    return {
      route: await question("Which route is metered?", defaults.route),
      value: await question("Where is the number?", defaults.value),
      meter: await question("What is the meter called?", defaults.meter),
    };
  } finally {
    prompt.close();
  }
}

function template({ meter, route, value }: Pick<InitOptions, "meter" | "route" | "value">): string {
  return `# yaml-language-server: $schema=./node_modules/meterbook/schema.json
version: 1

meters:
  ${meter}:
    match: { request.route: ${JSON.stringify(route)}, response.status: 200 }
    aggregate: sum
    value: ${JSON.stringify(value)}

billing:
  stripe:
    apiKey: \${STRIPE_API_KEY}      # unset: usage is kept and not reported
    mode: test
    map: { company_id: customer.metadata.company_id }
`;
}
