/** Bounds of the HTTP service's edge and threads: a part of `limits`, by which they are asked for. */
export const serviceLimits = {
  // --- the service's threads ---
  /** Calls of the HTTP service that wait for a thread; one more is answered 503 at once. */
  serverCallsMax: 1_000,
  /** A call that a thread has not answered by then is answered 503; making it again is harmless. */
  serverCallTimeoutMs: 30_000,
  /** The same for orders that look at the whole past, such as a new meter's. */
  serverLongCallTimeoutMs: 30 * 60_000,
  /** Whether the service is ready is answered by then: with no, where the store has not answered. */
  readinessTimeoutMs: 5_000,
  /** An edited configuration that is not in force by then is told as failed. */
  adoptTimeoutMs: 30_000,
  /** Calls that are under way when the store is closed; a new meter's past that takes longer is counted on at the next start. */
  closingCallsMs: 8_000,
  /** Lines of the log that wait while nothing takes them (a full disk); further ones are dropped. */
  logWaitingBytesMax: 1024 * 1024,
  /** Whether the store takes writes is tried out at most this often, when somebody asks for readiness. */
  storeProbeMs: 1_000,
  /** How often connections are looked at for those bounds of time. */
  httpConnectionsCheckMs: 2_000,

  // --- the edge of the HTTP service ---
  /** Headers of a request: their bytes in all, and how long they may take to arrive. */
  httpHeaderBytesMax: 16 * 1024,
  httpHeadersTimeoutMs: 10_000,
  /** A whole request, its body included; a slower one is cut off. */
  httpRequestTimeoutMs: 30_000,
  /** An idle connection is kept open for this long. */
  httpKeepAliveMs: 65_000,
  httpConnectionsMax: 10_000,
  /** Calls under way; further ones are answered 503. */
  httpCallsMax: 1_000,
  /** Bytes of bodies that calls under way hold, sent and inflated; a call that brings more meanwhile is answered 503. */
  httpBodiesBytesMax: 96 * 1024 * 1024,
  /** An answer of which nothing is taken for so long is given up. */
  httpAnswerIdleMs: 60_000,
  /** Of a body that is refused unread, so much is swallowed to keep the connection; before a larger one it is closed. */
  httpUnreadBytesMax: 64 * 1024,
  /** Lists and objects within one another in a JSON body; deeper ones are refused before they are parsed. */
  httpJsonDepthMax: 32,
  /** Values in a JSON body; one with more is refused before it is parsed. Events have bounds of their own. */
  httpJsonValuesMax: 200_000,
  /** Bytes of what a customer's token brings, before and after inflating: a question. */
  customerBodyBytesMax: 64 * 1024,
  /** Query parameters: their number, their text in all, and brackets behind one name. */
  queryParametersMax: 500,
  queryBytesMax: 16 * 1024,
  queryDepthMax: 4,
  /** Mistakes of one call that are told; further ones are told when these are mended. */
  mistakesMax: 100,
  /** Entries of one page of a list. */
  listPageMax: 1_000,
  /** Living API keys; further ones are refused until some are revoked. */
  apiKeysMax: 10_000,
  /** Keys read at once while all are loaded; loading loops. */
  apiKeysPageMax: 1_000,
  /** What is known of keys is this old at most: a key that another process revokes is good for so long. */
  keyRingCheckMs: 1_000,
  /** When a key was last used is written down this often, and is right to that. */
  keyUsedEveryMs: 60_000,
  /** Callers whose rates are remembered; beyond it the one who was quiet longest begins with a full allowance. */
  rateCallersMax: 20_000,
  /** A customer's token: how long it is good at most, and how many calls a second its customer has. */
  customerTokenMaxMs: 7 * 86_400_000,
  customerTokenMetersMax: 100,
  customerCallsPerSecond: 20,
} as const;
