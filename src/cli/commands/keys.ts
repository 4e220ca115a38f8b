import { Command, Option } from "commander";

import { createApiKey, listApiKeys, revokeApiKey, type ApiKey, type KeyScope } from "../../engine/registry/api-keys.ts";
import type { Store } from "../../engine/ports.ts";
import { systemClock, systemRandom } from "../../runtime/system.ts";
import { endMs } from "../instants.ts";
import { instant, type Output } from "../output.ts";
import { withNode, type CommonOptions } from "../session.ts";

const SCOPES: readonly KeyScope[] = ["ingest", "read", "admin"];
const PAGE = 1_000;

interface CreateOptions extends CommonOptions {
  readonly name: string;
  readonly scope: KeyScope[];
  readonly expires?: string;
  readonly by: string;
}

interface ListOptions extends CommonOptions {
  readonly all?: boolean;
}

interface RevokeOptions extends CommonOptions {
  readonly by: string;
}

/** `meterbook keys`: who may call the HTTP service, made and ended where nobody needs a key: on its own machine. */
export function keysCommand(): Command {
  return new Command("keys")
    .description("Make, list and revoke the keys of the HTTP service")
    .addHelpText("after", "\nExample: meterbook keys create --name gateway --scope ingest")
    .addCommand(createCommand())
    .addCommand(listCommand())
    .addCommand(revokeCommand());
}

function createCommand(): Command {
  return withAuthor(new Command("create"))
    .description("Make a key. It is shown once: only its digest is kept")
    .requiredOption("--name <text>", "what it is for, e.g. the program that uses it")
    .addOption(
      new Option("--scope <scope...>", "what it may do; admin may everything").choices(SCOPES).makeOptionMandatory(),
    )
    .option("--expires <when>", "when it ends: in 24h or 90d, at 2027-01-01, or at an instant with zone")
    .addHelpText("after", "\nExample: meterbook keys create --name gateway --scope ingest")
    .action(async (options: CreateOptions) => {
      process.exitCode = await withNode(options, ({ store }, out) => create(store, options, out), { startsApp: true });
    });
}

async function create(store: Store, { name, scope, expires, by }: CreateOptions, out: Output): Promise<void> {
  const now = systemClock.now();
  const expiresAt = expires === undefined ? null : endMs(expires, "--expires", now);
  const draft = { name, scopes: scope, expiresAt };
  const { key, text } = await createApiKey(store, { draft, author: `operator:${by}` }, { now, random: systemRandom });
  if (out.json) return out.record({ ...shown(key), key: text });
  out.line(text);
  out.hint(`Key ${key.id} (${key.scopes.join(", ")}). It is not shown again: keep it now.`);
}

function listCommand(): Command {
  return new Command("list")
    .description("List keys, without their secrets")
    .option("--all", "revoked ones too")
    .addHelpText("after", "\nExample: meterbook keys list --json")
    .action(async (options: ListOptions) => {
      process.exitCode = await withNode(options, ({ store }, out) => list(store, options.all === true, out));
    });
}

async function list(store: Store, includeRevoked: boolean, out: Output): Promise<void> {
  const keys: ApiKey[] = [];
  for (let page: readonly ApiKey[] = []; keys.length === 0 || page.length === PAGE;) {
    const after = page.at(-1)?.id;
    page = await listApiKeys(store, { includeRevoked, limit: PAGE, ...(after === undefined ? {} : { after }) });
    keys.push(...page);
    if (page.length === 0) break;
  }
  if (out.json) return keys.forEach((key) => out.record(shown(key)));
  if (keys.length === 0) return out.line("No keys: the service answers programs of this machine alone.");
  const rows = keys.map((key) => [
    key.id,
    key.name,
    key.scopes.join(" "),
    instant(key.createdAt),
    key.lastUsedAt === null ? "never" : instant(key.lastUsedAt),
    standing(key),
  ]);
  out.table([["key", "name", "scopes", "made", "last used", ""], ...rows]);
}

function revokeCommand(): Command {
  return withAuthor(new Command("revoke"))
    .description("End a key; a running service refuses it within a second")
    .argument("<key>", "its name in the list: the eight characters behind mb_")
    .addHelpText("after", "\nExample: meterbook keys revoke k3m9x2ab")
    .action(async (id: string, options: RevokeOptions) => {
      process.exitCode = await withNode(options, async ({ store }, out) => {
        const key = await revokeApiKey(store, { id, author: `operator:${options.by}` }, systemClock.now());
        if (out.json) return out.record(shown(key));
        out.line(`${key.id} (${key.name}) is revoked.`);
      });
    });
}

function withAuthor(command: Command): Command {
  return command.option("--by <name>", "who decides it; kept with the key", process.env["USER"] ?? "unnamed");
}

function standing({ revokedAt, expiresAt }: ApiKey): string {
  if (revokedAt !== null) return `revoked ${instant(revokedAt)}`;
  if (expiresAt === null) return "good";
  return `${expiresAt <= systemClock.now() ? "ended" : "good until"} ${instant(expiresAt)}`;
}

function at(time: number | null): string | null {
  return time === null ? null : instant(time);
}

function shown({ createdAt, expiresAt, revokedAt, lastUsedAt, ...key }: ApiKey): object {
  const times = { createdAt: at(createdAt), expiresAt: at(expiresAt), revokedAt: at(revokedAt) };
  return { ...key, ...times, lastUsedAt: at(lastUsedAt) };
}
