import type { Settings } from "../config/settings.ts";
import type { Catalog } from "../core/catalog.ts";
import { newestCatalog, storedCatalog } from "../engine/ingest/catalog-versions.ts";
import type { Clock, Store } from "../engine/ports.ts";
import type { MeterNode } from "./node.ts";
import { systemClock, systemRandom } from "./system.ts";

/** What an operation that only reads is given. */
export interface ReaderHost {
  readonly settings: Settings;
  readonly store: Store;
  readonly clock: Clock;
  readonly random: (size: number) => Uint8Array;
  /** The meters that are in force now. */
  readonly catalog: () => Promise<Catalog>;
}

/** What an operation that changes something is given: the engine of the one thread that writes. */
export interface WriterHost extends ReaderHost {
  readonly node: MeterNode;
  /** When the journals were last taken into the store, milliseconds UTC; null before the first time. */
  readonly drainedAt: () => number | null;
}

export interface ReaderHostOptions {
  readonly settings: () => Settings;
  readonly store: Store;
  readonly clock?: Clock;
  readonly random?: (size: number) => Uint8Array;
}

/** A host over a store that may be open for reading alone. */
export function readerHost(options: ReaderHostOptions): ReaderHost {
  const { store, clock = systemClock, random = systemRandom } = options;
  let known: Promise<Catalog> | null = null;
  const newest = async (): Promise<Catalog> => {
    const before = await (known?.catch(() => null) ?? null);
    return before === null ? storedCatalog(await store.meterVersions()) : newestCatalog(store, before);
  };
  return {
    get settings() {
      return options.settings();
    },
    store,
    clock,
    random,
    catalog: () => (known = newest()),
  };
}

/** A host over a whole node. */
export function writerHost(
  node: MeterNode,
  options: Pick<ReaderHostOptions, "clock" | "random"> & { readonly drainedAt?: () => number | null } = {},
): WriterHost {
  const { clock = systemClock, random = systemRandom, drainedAt = () => null } = options;
  return {
    node,
    store: node.store,
    clock,
    random,
    drainedAt,
    get settings() {
      return node.settings;
    },
    catalog: async () => {
      await node.reload();
      return node.catalog;
    },
  };
}
