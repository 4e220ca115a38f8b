import { sentenceOf } from "../core/errors.ts";
import { limits } from "../engine/limits.ts";
import type { Clock, Logger } from "../engine/ports.ts";
import type { ApiKey, KeyRing } from "../engine/registry/api-keys.ts";
import { isSameDigest, readKeyText } from "../engine/registry/key-text.ts";
import type { Backend } from "./backend.ts";

/** Who may call, as far as keys say it. */
export interface KnownKeys {
  /** The living key with this text; null = unknown, revoked or expired. Fails when the keys cannot be read. */
  find(text: string): Promise<ApiKey | null>;
  /** False once there was a key, also when all are revoked: what was closed once does not open by itself. */
  isWithoutKeys(): Promise<boolean>;
  /** Makes the next look ask anew: keys were changed here. */
  forget(): void;
  /** Writes down what was used since the last time. */
  flush(): Promise<void>;
}

interface Ring {
  readonly revision: number;
  readonly byPrefix: ReadonlyMap<string, KeyRing["keys"][number] & { readonly bytes: Uint8Array }>;
}

/**
 * Keeps the keys' digests at hand, and asks once a second whether they changed: a key that another process revokes is good
 * for no longer. While that cannot be told, nobody is let in.
 */
export function knownKeys(options: {
  readonly backend: Pick<Backend, "keyRing" | "noteKeysUsed">;
  readonly clock: Clock;
  readonly logger: Logger;
}): KnownKeys {
  const { backend, clock, logger } = options;
  let ring: Ring | null = null;
  let checkedAt = Number.NEGATIVE_INFINITY;
  let asking: Promise<Ring> | null = null;
  let used = new Map<string, number>();
  let notedAt = clock.now();
  // Raised by forget(): an answer that was asked for before says nothing of the change.
  let epoch = 0;

  const ask = async (): Promise<Ring> => {
    const began = clock.now();
    const asked = epoch;
    const answer = await backend.keyRing({ known: ring?.revision ?? null });
    // An older answer may come after a newer one.
    if (ring === null || (answer !== null && answer.revision >= ring.revision)) ring = ringOf(answer);
    if (asked === epoch) checkedAt = began;
    return ring;
  };
  const current = async (): Promise<Ring> => {
    const age = clock.now() - checkedAt;
    if (ring !== null && age >= 0 && age < limits.keyRingCheckMs) return ring;
    asking ??= ask().finally(() => (asking = null));
    return asking;
  };
  const flush = async (): Promise<void> => {
    const entries = [...used].map(([id, at]) => ({ id, at }));
    used = new Map();
    notedAt = clock.now();
    if (entries.length === 0) return;
    try {
      await backend.noteKeysUsed({ used: entries });
    } catch (error) {
      // It is for people only, and is written again with the next use.
      logger.debug({ cause: sentenceOf(error) }, "When keys were last used could not be written down.");
    }
  };
  return {
    async find(text) {
      const read = readKeyText(text);
      if (read === null) return null;
      const key = (await current()).byPrefix.get(read.prefix);
      const now = clock.now();
      if (key === undefined || !isSameDigest(read.digest, key.bytes)) return null;
      if (key.expiresAt !== null && key.expiresAt <= now) return null;
      used.set(key.id, now);
      if (now - notedAt >= limits.keyUsedEveryMs) void flush();
      return key;
    },
    isWithoutKeys: async () => (await current()).revision === 0,
    forget() {
      epoch += 1;
      checkedAt = Number.NEGATIVE_INFINITY;
      asking = null;
    },
    flush,
  };
}

function ringOf(answer: KeyRing | null): Ring {
  const keys = answer?.keys ?? [];
  return {
    revision: answer?.revision ?? 0,
    byPrefix: new Map(keys.map((key) => [key.id, { ...key, bytes: Buffer.from(key.digest, "hex") }])),
  };
}
