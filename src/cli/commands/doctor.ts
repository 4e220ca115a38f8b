import { accessSync, constants, existsSync, statfsSync } from "node:fs";
import { dirname, resolve } from "node:path";

import { Command } from "commander";

import { formatProblem } from "../../config/problem.ts";
import type { Settings } from "../../config/settings.ts";
import { isMeterbookError, sentenceOf } from "../../core/errors.ts";
import type { MeterStanding } from "../../engine/outbox/meter-modes.ts";
import { readStatus } from "../../engine/books/status.ts";
import { unsubscribedLanes } from "../../engine/outbox/unsubscribed.ts";
import { loadConfig } from "../../runtime/load-config.ts";
import { openNode } from "../../runtime/node.ts";
import { journalRoot } from "../../runtime/journal-root.ts";
import { type Notice } from "../../runtime/notice.ts";
import { systemClock } from "../../runtime/system.ts";
import { meterStandings } from "../meter-standings.ts";
import { numbered, output } from "../output.ts";
import { differenceText, type CommonOptions } from "../session.ts";
import { unsubscribedLines } from "../unsubscribed-text.ts";

interface Finding {
  readonly check: string;
  readonly ok: boolean;
  readonly text: string;
}

const FREE_BYTES_MIN = 512 * 1024 * 1024;

/** `meterbook doctor`: everything around meterbook that can be wrong, checked one by one. Writes nothing to Stripe. */
export function doctorCommand(): Command {
  return new Command("doctor")
    .description("Check Node, configuration, disk, database, attribution and the Stripe key")
    .addHelpText(
      "after",
      "\nExits 1 when a check fails. Nothing is sent or changed at Stripe.\nExample: meterbook doctor",
    )
    .action(async (options: CommonOptions) => {
      const out = output({ json: options.json === true });
      const findings = await examine(options);
      for (const finding of findings) {
        if (out.json) out.record(finding);
        else out.line(`${finding.ok ? "✓" : "✗"} ${finding.check.padEnd(10)} ${finding.text}`);
      }
      process.exitCode = findings.every((finding) => finding.ok) ? 0 : 1;
    });
}

async function examine(options: CommonOptions): Promise<Finding[]> {
  const findings: Finding[] = [{ check: "node", ok: true, text: process.version }];
  const settings = examineConfig(options, findings);
  if (settings === null) return findings;
  examineDisk(settings, findings);
  await examineStore(settings, findings);
  return findings;
}

function examineConfig(options: CommonOptions, findings: Finding[]): Settings | null {
  try {
    const { settings, warnings, found } = loadConfig({
      config: options.config,
      directory: process.cwd(),
      env: process.env,
    });
    findings.push({
      check: "config",
      ok: found,
      text: found
        ? `${settings.file ?? "given in code"}: ${settings.meters.length} ${settings.meters.length === 1 ? "meter" : "meters"}`
        : "no meterbook.yaml here; run `meterbook init`",
    });
    // Without meters a database must not be opened for work: its journals would be taken in uncounted.
    if (!found) return null;
    for (const warning of warnings) findings.push({ check: "config", ok: true, text: formatProblem(warning) });
    const path = options.db === undefined ? settings.storage.path : resolve(options.db);
    return { ...settings, storage: { ...settings.storage, path } };
  } catch (error) {
    if (!isMeterbookError(error)) throw error;
    findings.push({ check: "config", ok: false, text: error.message });
    return null;
  }
}

function examineDisk(settings: Settings, findings: Finding[]): void {
  let folder = dirname(settings.storage.path);
  while (!existsSync(folder)) folder = dirname(folder);
  try {
    accessSync(folder, constants.W_OK);
    const { bavail, bsize } = statfsSync(folder);
    const free = bavail * bsize;
    findings.push({
      check: "disk",
      ok: free > FREE_BYTES_MIN,
      text: `${folder}: ${Math.round(free / 1024 ** 2)} MiB free`,
    });
  } catch (error) {
    findings.push({ check: "disk", ok: false, text: `${folder} is not writable: ${sentenceOf(error)}` });
  }
}

async function examineStore(settings: Settings, findings: Finding[]): Promise<void> {
  if (!existsSync(settings.storage.path) && !existsSync(journalRoot(settings))) {
    findings.push({
      check: "database",
      ok: true,
      text: `${settings.storage.path}: none yet; it is made when the app starts with meter()`,
    });
    return;
  }
  const notices: Notice[] = [];
  try {
    const node = await openNode({
      settings,
      clock: systemClock,
      ownWriter: null,
      adoptFrom: null,
      onNotice: (notice) => notices.push(notice),
    });
    try {
      if (node.differs.length > 0)
        findings.push({ check: "meters", ok: true, text: differenceText(settings, node.differs) });
      await node.drainAll();
      const status = await readStatus(node.store, { backlogBytes: node.backlogBytes(), now: systemClock.now() });
      findings.push({
        check: "database",
        ok: true,
        text: `${settings.storage.path}: ${numbered(status.events, "event")}, ${status.held} held, ${status.backlog} bytes of journal behind`,
      });
      const unidentified = (await node.store.held({ order: "newest", limit: 1_000 })).filter(
        (row) => row.reason === "no_company",
      ).length;
      if (status.events > 0)
        findings.push({
          check: "identity",
          ok: unidentified < status.events,
          text:
            unidentified < status.events
              ? "events are attributed to companies"
              : "METER_NO_IDENTITY: no event has a company; give meter() an identifyCompany hook",
        });
      await examineStripe(node, settings, findings);
    } finally {
      await node.close();
    }
  } catch (error) {
    findings.push({ check: "database", ok: false, text: sentenceOf(error) });
  }
  for (const notice of notices) findings.push({ check: "notice", ok: false, text: `${notice.code}: ${notice.text}` });
}

function standingText(answer: MeterStanding): string {
  if (answer.kind === "mismatch") return `: METER_STRIPE_METER_MISMATCH: ${answer.reason}`;
  if (answer.kind !== "ready") return `: ${answer.reason}`;
  return answer.keepsLast === null ? " is there" : ` is there, and keeps the last report of each ${answer.keepsLast}`;
}

async function examineStripe(
  { reporter, store }: Awaited<ReturnType<typeof openNode>>,
  settings: Settings,
  findings: Finding[],
): Promise<void> {
  if (settings.billing.stripe === null)
    return void findings.push({ check: "stripe", ok: true, text: "not configured: usage is kept, not reported" });
  if (reporter === null)
    return void findings.push({
      check: "stripe",
      ok: false,
      text: "METER_STRIPE_KEY_MISSING: the variable of billing.stripe.apiKey is empty",
    });
  try {
    findings.push({ check: "stripe", ok: true, text: `account ${await reporter.account()}` });
    for (const { reportAs, standing } of await meterStandings(store, reporter, settings.meters))
      findings.push({
        check: "stripe",
        ok: standing.kind === "ready",
        text: `meter ${reportAs}${standingText(standing)}`,
      });
    for (const text of unsubscribedLines(await unsubscribedLanes(store)))
      findings.push({ check: "held", ok: false, text });
    if (settings.billing.stripe.shadow)
      findings.push({ check: "stripe", ok: true, text: "shadow: reports are made and never sent" });
  } catch (error) {
    findings.push({ check: "stripe", ok: false, text: sentenceOf(error) });
  }
}
