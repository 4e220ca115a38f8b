import type { Settings } from "../config/settings.ts";

/** Where the journals of a database are. */
export function journalRoot(settings: Settings): string {
  return `${settings.storage.path}-journals`;
}
