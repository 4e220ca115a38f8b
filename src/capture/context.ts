import type { CapturePlan } from "../core/capture-plan.ts";
import type { Clock, Logger } from "../engine/ports.ts";
import type { ExchangeListener } from "./exchange.ts";
import type { Flight } from "./flight.ts";
import type { HookSetup } from "./hooks.ts";
import type { KeptFields } from "./kept-fields.ts";
import type { Notices } from "./notices.ts";
import type { MeterOptions } from "./options.ts";
import type { PathFilter } from "./path-filter.ts";
import type { Recorder } from "./recorder.ts";
import type { Redaction } from "./redaction.ts";
import type { CaptureCounters } from "./stats.ts";

/** What every exchange of one capture shares, made once. */
export interface CaptureContext {
  readonly options: MeterOptions;
  readonly plan: CapturePlan;
  readonly kept: KeptFields;
  /** What remains when maskContent fails: only what meters need. */
  readonly leastKept: KeptFields;
  readonly recorder: Recorder;
  readonly clock: Clock;
  readonly nextId: () => string;
  readonly source: string;
  /** Identity of the database; null when it is not known. */
  readonly book: string | null;
  readonly hooks: HookSetup;
  readonly notices: Notices;
  readonly counters: CaptureCounters;
  readonly redaction: Redaction | null;
  readonly isMetered: PathFilter;
  /** Header names in lower case. */
  readonly stripHeaders: readonly string[];
  readonly logger: Logger | null;
  readonly listener: ExchangeListener;
  /** Promises of async hooks that are under way. */
  readonly underWay: Set<Promise<void>>;
  readonly flight: Flight;
  /** Tells onError; never throws. */
  readonly fail: (error: unknown, at: string, id?: string) => void;
}
