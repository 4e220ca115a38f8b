import { Command } from "commander";

import { bucketStanding } from "../../engine/periods/bucket-standing.ts";
import { listBuckets, type BucketQuery } from "../../engine/periods/buckets.ts";
import type { MeterNode } from "../../runtime/node.ts";
import { countOf, limitOption } from "../instants.ts";
import { grouped, visible, type Output } from "../output.ts";
import { withNode, type CommonOptions } from "../session.ts";

interface MetersOptions extends CommonOptions {
  readonly guide?: string;
  readonly type?: string;
  readonly user?: string;
  readonly limit: string;
}

/** `meterbook records meters`: customers' meters with what they have counted in their present period. */
export function customerMetersCommand(): Command {
  return new Command("meters")
    .description("List customers' meters, with what they have counted in their present period")
    .option("--guide <key>", "only meters of this guide (meter key)")
    .option("--type <name>", "only meters of this meter type")
    .option("--user <id>", "only meters of this user")
    .addOption(limitOption("at most this many meters"))
    .addHelpText("after", "\nExample: meterbook records meters --guide botbot")
    .action(async (options: MetersOptions) => {
      const limit = countOf(options.limit, "--limit");
      const { guide, user: userId, type: meterType } = options;
      process.exitCode = await withNode(options, (node, out) => list(node, { guide, userId, meterType }, limit, out));
    });
}

async function list({ store, catalog }: MeterNode, query: BucketQuery, limit: number, out: Output): Promise<void> {
  const found = await listBuckets(store, query);
  const meters = [];
  const shown = found
    .toSorted((a, b) => textOrder(a.userId, b.userId) || textOrder(a.type.name, b.type.name))
    .slice(0, limit);
  for (const { id } of shown) meters.push(await bucketStanding(store, catalog, id));
  if (out.json) {
    for (const meter of meters) out.record(meter);
    return;
  }
  if (meters.length === 0) return out.line("There are no customers' meters; meterbook provision makes them.");
  const cells = meters.map(({ userId, type, guide, periodStart, periodEnd, value, records }) => [
    userId,
    type.name,
    guide,
    `${dayOf(periodStart)} – ${dayOf(periodEnd)}`,
    grouped(value),
    String(records),
  ]);
  const head = ["user", "meter type", "guide", "period", "value", "records"];
  out.table([head, ...cells.map((row) => row.map(visible))], { right: [4, 5] });
  if (found.length > limit) out.hint(`${found.length} in all; --limit <n> shows more.`);
}

function textOrder(a: string, b: string): number {
  return a < b ? -1 : Number(a > b);
}

function dayOf(time: number): string {
  return new Date(time).toISOString().slice(0, 10);
}
