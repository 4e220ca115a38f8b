import { appendFileSync, mkdirSync } from "node:fs";
import { cpus } from "node:os";
import { join } from "node:path";

import { depthLabel } from "./depth.ts";

/** What one fault test saw. */
export interface Figures {
  /** The test in a few words: the key of its row. */
  readonly test: string;
  /** Kills, cuts, injected calls … */
  readonly rounds: number;
  /** Events that were answered or said yes to. */
  readonly acknowledged: number;
  /** Acknowledged and not stored. */
  readonly lost: number;
  /** Stored or billed more than once. */
  readonly doubled: number;
  /** Stored and never sent, or not as it was sent. */
  readonly invented: number;
  readonly note?: string;
}

/** Keeps a test's figures for the page of them: a line in `figures.jsonl` of the folder FAULT_FIGURES; nothing without it. */
export function recordFigures(figures: Figures): void {
  const folder = process.env["FAULT_FIGURES"];
  if (folder === undefined || folder === "") return;
  mkdirSync(folder, { recursive: true });
  const where = { depth: depthLabel(), at: new Date().toISOString(), node: process.version, cpu: cpuName() };
  appendFileSync(join(folder, "figures.jsonl"), `${JSON.stringify({ ...figures, ...where })}\n`);
}

function cpuName(): string {
  const all = cpus();
  return `${all.length} × ${all[0]?.model.trim() ?? "unknown"}`;
}
