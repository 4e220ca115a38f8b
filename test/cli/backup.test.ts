import { copyFileSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import { describe, expect, it, onTestFinished } from "vitest";

import type { UsageEvent } from "../../src/core/event.ts";
import { ingest } from "../../src/engine/ingest/ingest.ts";
import { openNode, type MeterNode } from "../../src/runtime/node.ts";
import { settingsIn } from "../runtime/served-threads.ts";
import { CHAT_YAML, cli, records, workspace } from "./cli.ts";

const NOW = Date.UTC(2026, 10, 22);
const env = { STRIPE_API_KEY: "sk_test_backup" };
const SLOW = 120_000;

const event = (at: number): UsageEvent => ({
  source: "s",
  id: `e${at}`,
  type: "export_done",
  time: NOW - at,
  company: `c${at % 7}`,
  user: null,
});

async function openIn(directory: string): Promise<MeterNode> {
  const clock = { now: () => NOW };
  const settings = settingsIn(directory);
  const node = await openNode({ settings, clock, ownWriter: null, adoptFrom: 0, onNotice: () => undefined });
  onTestFinished(() => node.close());
  return node;
}

async function store(node: MeterNode, from: number, to: number): Promise<void> {
  for (let at = from; at < to; at += 500) {
    const batch = Array.from({ length: Math.min(500, to - at) }, (_, index) => event(at + index));
    await ingest(node.store, node.catalog, batch, NOW);
  }
}

describe("meterbook backup", () => {
  it(
    "copies a database that goes on taking events, as of one instant, and proves the copy",
    async () => {
      const directory = workspace(CHAT_YAML);
      const node = await openIn(directory);
      await store(node, 0, 5_000);
      const stop = new AbortController();
      let next = 5_000;
      const writing = (async (): Promise<void> => {
        while (!stop.signal.aborted) {
          await store(node, next, next + 50);
          next += 50;
          await new Promise((resolve) => setImmediate(resolve));
        }
      })();
      const result = await cli(directory, ["backup", "copy.db", "--json"], env);
      stop.abort();
      await writing;
      expect(result.stderr).toBe("");
      const [found] = records(result);
      expect(found).toMatchObject({ verified: true, differences: [] });
      const copied = Number(found?.["events"]);
      expect(copied).toBeGreaterThanOrEqual(5_000);
      expect(copied).toBeLessThanOrEqual(next);
      expect(statSync(join(directory, "copy.db")).mode & 0o777).toBe(0o600);
      expect(readdirSync(directory).filter((name) => name.startsWith("copy.db"))).toEqual(["copy.db"]);

      const restored = workspace(CHAT_YAML);
      copyFileSync(join(directory, "copy.db"), join(restored, "meter.db"));
      const again = await openIn(restored);
      expect((await again.store.counts()).events).toBe(copied);
      expect(again.store.id).toBe(node.store.id);
      await store(again, 0, 6_000);
      expect((await again.store.counts()).events).toBe(Math.max(copied, 6_000));
      expect((await cli(restored, ["verify"], env)).code).toBe(0);
    },
    SLOW,
  );

  it(
    "replaces no file, and leaves nothing behind where it cannot write",
    async () => {
      const directory = workspace(CHAT_YAML);
      await store(await openIn(directory), 0, 10);
      writeFileSync(join(directory, "copy.db"), "mine");
      const refused = await cli(directory, ["backup", "copy.db"], env);
      expect(refused.code).toBe(1);
      expect(refused.stderr).toContain("There is a file");
      expect(readFileSync(join(directory, "copy.db"), "utf8")).toBe("mine");
      const lost = await cli(directory, ["backup", "no/such/copy.db"], env);
      expect(lost.code).toBe(1);
      expect(lost.stderr).toContain("METER_COMMAND_INVALID");
      mkdirSync(join(directory, "kept"));
      const quick = await cli(directory, ["backup", "kept/copy.db", "--quick"], env);
      expect(quick.stdout).toContain("10 events");
      expect(quick.stdout).toContain("sums were not recomputed");
      expect(readdirSync(join(directory, "kept"))).toEqual(["copy.db"]);
    },
    SLOW,
  );

  it(
    "says that the sums of a copy do not match, with an exit code of its own, and keeps the copy",
    async () => {
      const directory = workspace(CHAT_YAML);
      const node = await openIn(directory);
      await store(node, 0, 100);
      const [bucket, ...others] = await node.store.buckets({});
      if (bucket === undefined) throw new Error("there is usage");
      expect(await node.store.replaceBuckets(others, await node.store.usageRevision())).toBe(true);
      const result = await cli(directory, ["backup", "copy.db"], env);
      expect(result.code).toBe(1);
      expect(result.stdout).toContain("✗");
      expect(readdirSync(directory)).toContain("copy.db");
    },
    SLOW,
  );

  it(
    "refuses to call a damaged copy a backup",
    async () => {
      const directory = workspace(CHAT_YAML);
      const node = await openIn(directory);
      await store(node, 0, 20_000);
      await node.close();
      const bytes = readFileSync(join(directory, "meter.db"));
      bytes.fill(0x5a, Math.floor(bytes.length / 2), Math.floor(bytes.length / 2) + 40_960);
      writeFileSync(join(directory, "meter.db"), bytes);
      const result = await cli(directory, ["backup", "copy.db"], env);
      expect(result.code).toBe(1);
      expect(readdirSync(directory).filter((name) => name.startsWith("copy"))).toEqual([]);
    },
    SLOW,
  );
});
