import { conflict } from "../registry/refusals.ts";
import type { RegistryTools } from "../registry/registry-tools.ts";
import { endNotes } from "./meter-entry.ts";
import { writePending } from "./pending-past.ts";
import { addVersion, changeableMeter, type UsesOf } from "./update-meter.ts";

/**
 * Ends a meter of the API: it counts nothing from now on, and what it counted can still be asked for. METER_NOT_FOUND;
 * METER_CONFLICT for a meter of the file, and for one that is in use.
 */
export async function deleteMeter(
  tools: RegistryTools,
  { idOrKey, author }: { readonly idOrKey: string; readonly author: string },
  usesOf: UsesOf = async () => [],
): Promise<void> {
  const { key } = await changeableMeter(tools, idOrKey);
  const [use] = await usesOf(key);
  if (use !== undefined) throw conflict(`The meter ${key} is used by ${use.what}.`, "Change or end that first.");
  await addVersion(tools, key, ({ newest: { definition } }) => ({ definition, ended: true }));
  await writePending(tools.store, key, null);
  await endNotes(tools, key, author);
}
