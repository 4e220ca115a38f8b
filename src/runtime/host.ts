import type { Settings } from "../config/settings.ts";
import type { Catalog } from "../core/catalog.ts";
import { newestCatalog, storedCatalog } from "../engine/ingest/catalog-versions.ts";
import type { CommitQueue } from "../engine/intake/commit-queue.ts";
import type { Sessions } from "../engine/intake/sessions.ts";
import type { Clock, Store } from "../engine/ports.ts";
import { registryTools, type RegistryTools } from "../engine/registry/registry-tools.ts";
import { progressBook, type ProgressBook } from "../engine/usage/query-progress.ts";
import type { MeterNode } from "./node.ts";
import { nodeQueue, nodeSessions } from "./node-intake.ts";
import { storeProbe } from "./store-probe.ts";
import { systemClock, systemRandom } from "./system.ts";

/** What an operation that only reads is given. */
export interface ReaderHost extends RegistryTools {
  readonly settings: Settings;
  /** The meters that are in force now. */
  readonly catalog: () => Promise<Catalog>;
  /** How far questions are that this thread answers. */
  readonly progress: ProgressBook;
}

/** What an operation that changes something is given: the engine of the one thread that writes. */
export interface WriterHost extends ReaderHost {
  readonly node: MeterNode;
  readonly queue: CommitQueue;
  readonly sessions: Sessions;
  /** Rejects while the store takes no writes. */
  readonly probe: () => Promise<void>;
  /** When the journals were last taken into the store, milliseconds UTC; null before the first time. */
  readonly drainedAt: () => number | null;
}

/** Where time and chance come from; the system's where left out. */
interface HostSources {
  readonly clock?: Clock;
  readonly random?: (size: number) => Uint8Array;
}

/** A host over a store that may be open for reading alone. */
export function readerHost(
  options: HostSources & { readonly settings: () => Settings; readonly store: Store },
): ReaderHost {
  const { store, settings, clock = systemClock, random = systemRandom } = options;
  let known: Promise<Catalog> | null = null;
  const newest = async (): Promise<Catalog> => {
    const before = await (known?.catch(() => null) ?? null);
    return before === null ? storedCatalog(await store.meterVersions()) : newestCatalog(store, before);
  };
  return {
    ...registryTools(store, clock, random),
    progress: progressBook(clock),
    get settings() {
      return settings();
    },
    catalog: () => (known = newest()),
  };
}

/** A host over a whole node. */
export function writerHost(
  node: MeterNode,
  options: HostSources & { readonly drainedAt?: () => number | null } = {},
): WriterHost {
  const { clock = systemClock, random = systemRandom, drainedAt = () => null } = options;
  const tools = registryTools(node.store, clock, random);
  return {
    ...tools,
    node,
    queue: nodeQueue(node, tools),
    sessions: nodeSessions(node, tools),
    probe: storeProbe(node.store, clock),
    progress: progressBook(clock),
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
