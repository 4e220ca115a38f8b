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
  idempotencyV2Ms: 30 * 86_400_000,
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
  /** Jobs that one move of the clock may make due; more is a mistake in a test. */
  dueRunsMax: 1_000_000,
  /** Errors of asynchronous validation are reported by windows of this length. */
  validationWindowMs: 10_000,
  /** Sample errors of one kind in a report, unless told. */
  errorSamplesDefault: 5,
  graceMaxMs: 72 * 3_600_000,
  subscriptionItemsMax: 20,
  /** Decimal places of an amount in a currency's smallest unit. */
  amountPlacesMax: 12,
  /** Real time that a webhook's receiver has for its answer. */
  webhookAnswerMs: 10_000,
  /** Attempts after which one call of deliverWebhooks() gives up on a receiver that makes ever new events. */
  deliveriesPerRunMax: 100_000,
  /** Attempts kept in `deliveries`; the oldest are dropped beyond it. */
  deliveriesLoggedMax: 100_000,
  webhooksMax: 16,
  /** How far back the list of account events reaches. */
  accountEventAgeMaxMs: 30 * 86_400_000,
} as const;
