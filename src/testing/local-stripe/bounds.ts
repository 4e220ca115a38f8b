/** Every bound of the local Stripe. Sizes and ages that the service documents carry the unit it documents them in. */
export const localStripeBounds = {
  /** A larger request body is refused with 413. */
  bodyBytesMax: 1024 * 1024,
  /** Calls kept in `requests`; the oldest are dropped beyond it. */
  requestsLoggedMax: 100_000,
  /** Objects on one page of a list or search. */
  pageMax: 100,
  pageDefault: 10,
  metadataKeysMax: 50,
  metadataKeyLengthMax: 40,
  metadataValueLengthMax: 500,
  idempotencyKeyLengthMax: 255,
  eventNameLengthMax: 100,
  identifierLengthMax: 100,
  displayNameLengthMax: 250,
  payloadKeyLengthMax: 100,
  textLengthMax: 5000,
  /** Significant digits of a metered value. */
  valueDigitsMax: 15,
  eventAgeMaxSeconds: 35 * 86_400,
  eventAheadMaxSeconds: 5 * 60,
  cancelMs: 24 * 3_600_000,
  /** How far back the list of account events reaches. */
  accountEventAgeMaxMs: 30 * 86_400_000,
} as const;
