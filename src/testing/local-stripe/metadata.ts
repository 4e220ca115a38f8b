import { localStripeBounds as bounds } from "./bounds.ts";
import type { FormTree } from "./form-body.ts";
import { textMap } from "./parameters.ts";
import { refuse } from "./stripe-refusal.ts";

/** Metadata after a change: sent keys are set, empty ones unset, an empty `metadata` unsets all. */
export function changedMetadata(
  before: Readonly<Record<string, string>>,
  form: FormTree,
): Readonly<Record<string, string>> {
  const sent = form["metadata"];
  if (sent === undefined) {
    return before;
  }
  if (sent === "") {
    return {};
  }
  if (typeof sent === "string") {
    return refuse("http.parameter_not_map", { message: "Invalid object", param: "metadata" });
  }
  const entries = new Map(Object.entries(before));
  for (const [key, value] of Object.entries(textMap(sent, "metadata"))) {
    if (value === "") {
      entries.delete(key);
    } else {
      checkEntry(key, value);
      entries.set(key, value);
    }
  }
  if (entries.size > bounds.metadataKeysMax) {
    refuseMetadata(`Metadata can have at most ${String(bounds.metadataKeysMax)} keys.`, "metadata");
  }
  return Object.fromEntries(entries);
}

function checkEntry(key: string, value: string): void {
  if (key.length > bounds.metadataKeyLengthMax) {
    refuseMetadata(`Metadata keys must have up to ${String(bounds.metadataKeyLengthMax)} characters.`, "metadata");
  }
  if (value.length > bounds.metadataValueLengthMax) {
    refuseMetadata(
      `Metadata values can have up to ${String(bounds.metadataValueLengthMax)} characters, but you passed in a value that is ${String(value.length)} characters.`,
      `metadata[${key}]`,
    );
  }
}

function refuseMetadata(message: string, param: string): never {
  return refuse("customer.metadata_limits", { message, param });
}
