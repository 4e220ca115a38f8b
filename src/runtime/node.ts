import type { Settings } from "../config/settings.ts";
import type { Catalog } from "../core/catalog.ts";
import { alarms, type Alarms } from "../engine/delivery/alarms.ts";
import { amendEvent } from "../engine/ingest/assign.ts";
import { areMetersChanged, loadCatalog, newestCatalog, type LoadedCatalog } from "../engine/ingest/catalog-versions.ts";
import { limits } from "../engine/limits.ts";
import { pace, type Pace } from "../engine/delivery/pace.ts";
import type { Clock, Store, UsageReporter } from "../engine/ports.ts";
import { purgeBatch, type PurgePlace } from "../engine/books/retention.ts";
import { openDrain, type Drain } from "../journal/drain.ts";
import { openMemoryDrain, type MemoryDrain } from "../journal/memory-drain.ts";
import { openSqliteStore } from "../sqlite/sqlite-store.ts";
import { stripeReporter } from "../stripe/stripe-reporter.ts";
import { stripeWebhooks, type StripeWebhooks } from "../stripe/stripe-webhooks.ts";
import { journalRoot } from "./journal-root.ts";
import { noticeOfProblem, type Notice } from "./notice.ts";
import { takeEvents } from "./refused-event.ts";

export interface NodeOptions {
  readonly settings: Settings;
  readonly clock: Clock;
  /** The journal writer of this process, null for a command that only reads. */
  readonly ownWriter: string | null;
  /**
   * An app puts its configuration into force: the instant from which its edited meters count, milliseconds UTC. Null for a
   * command, which counts by what is stored.
   */
  readonly adoptFrom: number | null;
  readonly onNotice: (notice: Notice) => void;
}

/** The engine with its adapters: one database, all journals beside it, one biller. */
export interface MeterNode {
  readonly settings: Settings;
  readonly store: Store;
  /** The newest that is known here; ask again after each wait, as other processes may change the meters. */
  readonly catalog: Catalog;
  /** Meters that the configuration has otherwise than the database: the edits take effect when an app starts. */
  readonly differs: readonly string[];
  /** Takes meters that another process put into force. */
  readonly reload: () => Promise<void>;
  /**
   * Puts an edited configuration into force: its meters count from `from` on. What the adapters were opened with stays
   * until the process starts anew. Throws as openNode does, and then everything is as before.
   */
  readonly adopt: (settings: Settings, from: number) => Promise<void>;
  /** Does work that counts; again by the newest meters when they turn out to be others. Throws METER_METERS_CHANGED after some tries. */
  readonly counting: <Result>(work: (catalog: Catalog) => Promise<Result>) => Promise<Result>;
  readonly reporter: UsageReporter | null;
  /** Reads Stripe's webhook calls; null without a key or a webhook secret. */
  readonly webhooks: StripeWebhooks | null;
  /** What the biller's rate limits taught us, from round to round. */
  readonly pace: Pace;
  /** What was told of the biller and goes on, from round to round. */
  readonly alarms: Alarms;
  /** Takes everything that is in the journals now into the store; answers how many events that were. */
  drainAll(): Promise<number>;
  /** Where lines of `durability: memory` are handed in; they are drained like those of a file. */
  readonly memory: MemoryDrain;
  /** Bytes of journals that are not in the store yet. */
  backlogBytes(): number;
  /** Looks at a batch of events past their time and deletes the reported ones; true = more wait for the next call. */
  purge(): Promise<boolean>;
  close(): Promise<void>;
}

/** Width of the usage buckets that this configuration needs: a quarter of an hour serves every zone; minute windows need minutes. */
export function bucketWidthMs(settings: Settings): number {
  return Math.min(settings.billing.stripe?.report.windowMs ?? QUARTER_HOUR_MS, QUARTER_HOUR_MS);
}

const QUARTER_HOUR_MS = 15 * 60_000;

/** Opens the database, brings the meters' versions up to date and finds the journals. */
export async function openNode(options: NodeOptions): Promise<MeterNode> {
  const { settings, clock } = options;
  const store = await openSqliteStore({
    path: settings.storage.path,
    bucketMs: bucketWidthMs(settings),
    onNotice: options.onNotice,
  });
  try {
    const { adoptFrom } = options;
    const loaded = await loadCatalog(store, settings, adoptFrom ?? clock.now(), { adopt: adoptFrom !== null });
    const drain = openDrain({
      root: journalRoot(settings),
      clock,
      own: options.ownWriter,
      openPartsWaitMs: limits.openPartsWaitMs,
      onProblem: (problem) => options.onNotice(noticeOfProblem(problem)),
    });
    return node(options, store, loaded, drain);
  } catch (error) {
    await store.close();
    throw error;
  }
}

function node(options: NodeOptions, store: Store, loaded: LoadedCatalog, files: Drain): MeterNode {
  const { clock } = options;
  let { settings } = options;
  let { catalog } = loaded;
  const reload = async (): Promise<void> => void (catalog = await newestCatalog(store, catalog));
  const counting = async <Result>(work: (newest: Catalog) => Promise<Result>): Promise<Result> => {
    for (let reloads = 0; ; reloads += 1) {
      try {
        return await work(catalog);
      } catch (error) {
        if (!areMetersChanged(error) || reloads >= limits.meterReloadsMax) throw error;
        await reload();
      }
    }
  };
  let purgePlace: PurgePlace | null = null;
  const memory = openMemoryDrain({ clock });
  const intake = { store, root: journalRoot(settings), now: () => clock.now(), onNotice: options.onNotice };
  const takeBatch = async (drain: Drain, by: Catalog): Promise<number> => {
    const { events, amendments } = drain.next(limits.batchEventsMax);
    try {
      if (events.length > 0) await takeEvents(intake, by, events);
      for (const amendment of amendments) await amendEvent(store, by, amendment, "journal", clock.now());
    } catch (error) {
      drain.rollback();
      throw error;
    }
    drain.commit();
    return events.length + amendments.length;
  };
  const drainBatch = (drain: Drain): Promise<number> => counting((newest) => takeBatch(drain, newest));
  return {
    get settings() {
      return settings;
    },
    store,
    get catalog() {
      return catalog;
    },
    differs: loaded.differs,
    reload,
    adopt: async (edited, from) => {
      ({ catalog } = await loadCatalog(store, edited, from, { adopt: true }));
      settings = edited;
    },
    counting,
    memory,
    reporter: openReporter(options),
    webhooks: openWebhooks(options),
    pace: pace(),
    alarms: alarms(),
    drainAll: async () => {
      let total = 0;
      for (const drain of [files, memory]) {
        for (let taken = await drainBatch(drain); taken > 0; taken = await drainBatch(drain)) total += taken;
      }
      return total;
    },
    backlogBytes: () => files.backlog().bytes + memory.backlog().bytes,
    purge: async () => {
      await reload();
      const batch = await counting((newest) => purgeBatch(store, newest, settings, clock.now(), purgePlace));
      purgePlace = batch.next;
      return purgePlace !== null;
    },
    close: () => store.close(),
  };
}

/** The configured biller; null without a key: usage is then kept, not reported. */
function openReporter({ settings, clock, onNotice }: NodeOptions): UsageReporter | null {
  const stripe = settings.billing.stripe;
  if (stripe === null || stripe.apiKey === null) return null;
  return stripeReporter({
    apiKey: stripe.apiKey,
    mode: stripe.mode,
    apiBase: stripe.apiBase,
    companyIdAt: stripe.companyIdAt,
    clock,
    onNotice,
  });
}

function openWebhooks({ settings, clock, onNotice }: NodeOptions): StripeWebhooks | null {
  const stripe = settings.billing.stripe;
  if (stripe === null || stripe.apiKey === null || stripe.webhookSecret === null) return null;
  return stripeWebhooks({
    apiKey: stripe.apiKey,
    mode: stripe.mode,
    apiBase: stripe.apiBase,
    companyIdAt: stripe.companyIdAt,
    secrets: stripe.webhookSecret.split(" "),
    clock,
    onSkewed: (text) => onNotice({ code: "METER_CLOCK_SKEW", text }),
  });
}
