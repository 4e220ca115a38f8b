/** How many calls a second are taken, and how many at once after a pause. */
export interface RateLimit {
  readonly perSecond: number;
  readonly burst: number;
}

/** What all calls together may make in a sandbox (docs.stripe.com/rate-limits). */
export const SANDBOX_RATE: RateLimit = { perSecond: 25, burst: 25 };

export interface TokenBucket {
  readonly limit: RateLimit;
  tokens: number;
  refilledAt: number;
}

export function fullBucket(limit: RateLimit, nowMs: number): TokenBucket {
  return { limit, tokens: limit.burst, refilledAt: nowMs };
}

/** Takes a token; false = over the rate. A clock that went back refills nothing. */
export function takeToken(bucket: TokenBucket, nowMs: number): boolean {
  const elapsedMs = Math.max(0, nowMs - bucket.refilledAt);
  bucket.tokens = Math.min(bucket.limit.burst, bucket.tokens + (elapsedMs * bucket.limit.perSecond) / 1000);
  bucket.refilledAt = nowMs;
  if (bucket.tokens < 1) {
    return false;
  }
  bucket.tokens -= 1;
  return true;
}
