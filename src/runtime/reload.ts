import type { Settings } from "../config/settings.ts";
import { isMeterbookError, sentenceOf } from "../core/errors.ts";
import type { Logger } from "../engine/ports.ts";

export interface ReloadOptions {
  /** Reads the configuration as it is now. Throws for one with mistakes. */
  readonly read: () => Settings;
  readonly current: () => Settings;
  /** Puts it into force; rejects when it cannot be, and then the one of before is in force. */
  readonly adopt: (settings: Settings) => Promise<void>;
  readonly logger: Logger;
}

/** Reads the configuration again and puts it into force, or says why the one of before stays. One after another. */
export function configReloader({ read, current, adopt, logger }: ReloadOptions): () => Promise<void> {
  let turn: Promise<void> = Promise.resolve();
  const reload = async (): Promise<void> => {
    try {
      const edited = read();
      const before = current();
      const waiting = needRestart(before, edited);
      await adopt(inForce(before, edited));
      logger.info(
        { meters: edited.meters.length },
        "The edited configuration is in force: its meters count from now on.",
      );
      if (waiting.length > 0)
        logger.warn(
          { sections: waiting },
          `Edits of ${waiting.join(", ")} take effect when the service is started again; what was there stays in force.`,
        );
    } catch (error) {
      const code = isMeterbookError(error) ? error.code : "METER_CONFIG_UNREADABLE";
      logger.error({ code }, `The last good configuration stays in force. ${sentenceOf(error)}`);
    }
  };
  return () => (turn = turn.then(reload));
}

/** Sections that are opened once: what they say takes effect with the next start. */
const OPENED_ONCE = ["storage", "billing", "server"] as const satisfies readonly (keyof Settings)[];

function needRestart(before: Settings, edited: Settings): readonly string[] {
  const kept = { ...edited, storage: { ...edited.storage, keepEventsMs: before.storage.keepEventsMs } };
  return OPENED_ONCE.filter((section) => JSON.stringify(before[section]) !== JSON.stringify(kept[section]));
}

/** What of an edit can be put into force now. How long events are kept is asked for at each look. */
function inForce({ storage, billing, server }: Settings, edited: Settings): Settings {
  return { ...edited, storage: { ...storage, keepEventsMs: edited.storage.keepEventsMs }, billing, server };
}
