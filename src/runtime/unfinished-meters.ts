import { resumeBackfill } from "../engine/meters/backfill.ts";
import type { RegistryTools } from "../engine/registry/registry-tools.ts";
import { toolsWithTurns } from "./with-turns.ts";

/** Counts what is left of the past of meters whose process was killed while it counted it. */
export async function finishMeters(tools: RegistryTools): Promise<void> {
  const versions = await tools.store.meterVersions();
  const made = versions.filter(({ origin }) => origin === "api").map(({ definition }) => definition.key);
  for (const key of new Set(made)) await resumeBackfill(toolsWithTurns(tools), key);
}
