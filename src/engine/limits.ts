import { serviceLimits } from "./service-limits.ts";

/** Every bound of the system, by name. What happens at the bound stands beside it. */
export const limits = {
  ...serviceLimits,

  /** Events per store transaction; the drain loops. */
  batchEventsMax: 2_000,
  /** A journal segment is rotated at this size. */
  segmentBytesMax: 4 * 1024 * 1024,
  /** Journal bytes of one process that wait for the worker; beyond it events are refused, counted and alarmed. */
  backlogBytesMax: 1024 * 1024 * 1024,
  /** One journal line; a larger event loses its bodies and is held as body_too_large. */
  lineBytesMax: 1024 * 1024,
  /** How long an async hook may take before the event is held as identify_timeout. */
  hookTimeoutMs: 2_000,
  /** How long the drain waits for the open parts of an event of a living process. */
  openPartsWaitMs: 120_000,
  /** Pause between two drains of the journals: fuller transactions cost less an event, and nothing is at risk meanwhile. */
  drainEveryMs: 250,
  /** Tries of rebuild --apply to write before more usage arrives, each with what came meanwhile; then METER_STORE_BUSY. */
  rebuildTriesMax: 20,
  /** Events of which a replay may change what is held; beyond it the replay is refused, and a shorter span can be replayed. */
  replayHoldsMax: 100_000,
  /** Tries to add the rows by which a report is addressed anew, while more of its window is counted; then the order is given again. */
  readdressTriesMax: 5,
  /** Outbox rows of one company and meter read at once where all of them are looked at, page by page. */
  outboxPageMax: 10_000,
  /** Another system's file of numbers that is compared; a larger one is refused. */
  comparedBytesMax: 256 * 1024 * 1024,
  /** Computations of an amendment begun anew because the event got another one meanwhile; then METER_STORE_BUSY. */
  amendTriesMax: 10,
  /** Expired events are looked for this long after start, then after each full look … */
  purgeFirstMs: 60_000,
  purgeEveryMs: 3_600_000,
  /** … and a look goes a batch of events at a time, with this pause in which the drain has its turn. */
  purgePauseMs: 100,
  /** Names of what was done once (a notice of Stripe's) are kept this long: it calls again for three days, and a signature is good for minutes. */
  onceKeptMs: 90 * 86_400_000,
  /**
   * Refused events, and attempts and changes of reports that are at the biller, are kept as long as `keepEvents` says, and
   * at least this long; without `keepEvents` for ever. What an operator ordered stays for ever, and so does the report itself.
   */
  historyKeptMinMs: 90 * 86_400_000,
  /** Of all these, how many are looked at in one transaction; forgetting loops, with the pause of a purge. */
  forgetBatchMax: 2_000,
  /** Times in a row that events are judged again because another process changed the meters; then METER_METERS_CHANGED. */
  meterReloadsMax: 5,
  /** Longest pause between tries while the store cannot be opened or written. */
  storeRetryMaxMs: 10_000,
  /** A worker that died is started again after this. */
  workerRestartMs: 1_000,
  /** Background fdatasync of the journal in `durability: process`. */
  journalSyncMs: 100,
  /** A writer that has not touched its journal for this long, on another host, is taken for dead. */
  writerSilenceMs: 60_000,
  /** How often a writer shows that it lives, and checks that its journal file still stands where it was made. */
  writerHeartbeatMs: 5_000,
  /** A journal that cannot be written, or is full, is tried again at most this often; events meanwhile are refused and counted. */
  journalRetryMs: 1_000,
  /** Events whose open parts the drain waits for; beyond it the oldest are given out with what is known. */
  openEventsMax: 100_000,
  /** Events kept in memory in `durability: memory`; the newest beyond it are refused and counted. */
  memoryEventsMax: 10_000,
  /** Text of one group label; longer labels are cut. */
  groupLabelLengthMax: 200,
  /** company, user and id. Longer or unclean identifiers are held as bad_identifier. */
  identifierLengthMax: 256,
  /** Names that req.meter.add() takes in one request; further ones are told to onError and hold the event. */
  addedValuesMax: 100,
  /** A response that ends with more bytes than this unsent is left open until it is known whether they arrived. */
  unsentBytesMax: 16 * 1024,
  /** Requests after which the start-up checks speak: nobody identified, a metered header never seen. */
  startUpRequests: 100,
  /** Bodies read for meters. */
  bodyBytesMax: 100_000,
  /** Lists and objects within one another in what is kept of bodies and metadata; deeper ones hold the event as body_too_deep. */
  jsonDepthMax: 64,
  /** An event stamped this far ahead of its recording is held as future (Stripe's own limit). */
  futureMs: 5 * 60_000,
  /** Rows claimed for delivery at once. */
  claimRowsMax: 50,
  /** How long a claimed row stays with one reporter; a lease that ends later was taken under a wrong clock, and is over. */
  leaseMs: 60_000,
  /** How long one node is the reporter without a sign of life; longest named lease, and one that ends later is over. */
  reporterLeaseMs: 2 * 60_000,
  /** Retry of a report: full jitter between these. */
  retryMinMs: 1_000,
  retryMaxMs: 5 * 60_000,
  /** A longer delay that the biller asks for is cut to this; a row that waits longer was written under a wrong clock, and is due. */
  retryAfterMaxMs: 3_600_000,
  /** A resend is safe for this long after the first attempt (Stripe remembers identifiers at least 24 h). */
  resendSafeMs: 23 * 3_600_000,
  /** Stripe remembers a report's identifier this long, and answers the same one again as taken. */
  identifierMemoryMs: 24 * 3_600_000,
  /** After it, the biller's books are read this often, and only so long after the last attempt is "absent" believed: they are behind. */
  readBackEveryMs: 10 * 60_000,
  readBackQuietMs: 2 * 3_600_000,
  /** Pause while no later report of ours is visible there either, or while a row may not be sent at all. */
  readBackWitnessMs: 30 * 60_000,
  /** Readings of the biller's books in one round of delivery; further rows wait for the next ones. */
  readBacksMax: 50,
  /** Later reports that are looked for in the books for one row, in how many lanes. */
  witnessReadsMax: 3,
  witnessLanesMax: 5,
  /** Rows among which one that was taken later is looked for. */
  witnessRowsMax: 1_000,
  /** A report can be cancelled for this long after the biller received it. */
  cancelMs: 24 * 3_600_000,
  /** An operator may order that for this long after it was first sent; the rest is for the call. */
  cancelOrderMs: 23 * 3_600_000,
  /** Usage older than this is refused by Stripe (35 days) before we try. */
  reportAgeMaxMs: 34 * 86_400_000,
  /** A "no such customer" answer is believed for this long, doubled with each further one up to the greatest. */
  missingCustomerMs: 60_000,
  missingCustomerMaxMs: 86_400_000,
  /** The biller's full customer list is read at most this often; between two reads single companies are asked for. */
  customerListEveryMs: 15 * 60_000,
  /** Companies asked for one by one in a round of reporting, longest unasked first; the others wait for the next round. */
  customerQuestionsMax: 100,
  /** Customers whose own subscriptions are asked for in a round before usage is held for want of one; further usage waits for the next. */
  subscriptionQuestionsMax: 100,
  /** After so many of these questions in a row without an answer, nobody else is asked for in the round. */
  subscriptionFailuresMax: 3,
  /** Questions without an answer in a round, those included that had none in the round before. */
  subscriptionFailuresPerRoundMax: 10,
  /** A row whose customer could not be asked for in its round of delivery waits so long for the next one. */
  unaskedWaitMs: 60_000,
  /** Of usage that is held for it already, so many customers are asked for again in a round, each in turn. */
  heldSubscriptionQuestionsMax: 20,
  /** Customers known to have none are asked for again so often an hour, all together: the hour's list of all tells who has one since. */
  unsubscribedQuestionsPerHour: 240,
  /** Customers that are remembered for it; beyond it the one who was asked for first is asked for as a new one. */
  unsubscribedCustomersMax: 100_000,
  /** Usage that has been held for so long is told of … */
  heldAlarmMs: 7 * 86_400_000,
  /** … as far as it is among so many rows, the oldest. */
  heldAlarmRowsMax: 10_000,
  /** Dirty windows closed in one transaction; closing loops. */
  closeWindowsMax: 500,
  /** Outbox rows or windows read at once where all of them are looked at: dry runs, purging. */
  heldRowsMax: 100_000,
  /** Held rows of one company and meter read at once while they are released; releasing loops. */
  releaseRowsMax: 500,
  /** Reports under way at once, each for another customer and meter. */
  lanesMax: 16,
  /** Reports per second: where pacing starts, how slow rate limits can make it, how fast it may grow. */
  reportsPerSecondStart: 20,
  reportsPerSecondMin: 1,
  reportsPerSecondMax: 500,
  /** A round of delivery ends after so many reports in a row without a clear answer; the others stay untried. */
  failuresInARowMax: 8,
  /** One call to the biller. Well under leaseMs, so that a claimed row is never sent by two. */
  reporterTimeoutMs: 30_000,
  /** The biller's meters are read again after this … */
  reporterMetersMs: 3_600_000,
  /** … and already after this while one that is asked for is missing or unfit. */
  missingMeterMs: 60_000,
  /** Billing periods are read from the biller again after this; of subscriptions that ended longer ago than this, none. */
  reporterPeriodsMs: 3_600_000,
  /** … which is this long after each full hour (UTC): before the hour's windows are closed, and after all of it was told. */
  periodsAfterHourMs: 60_000,
  periodsEndedMaxMs: 36 * 86_400_000,
  /** A lane is compared with the biller's books this often, and once more this long before an invoice of it is final. */
  reconcileEveryMs: 86_400_000,
  reconcileBeforeFinalMs: 20 * 60_000,
  /** Lanes that are due for it are looked for this often. */
  reconcileLookMs: 5 * 60_000,
  /** Reports taken less than this ago are not judged: the books are behind. */
  reconcileAfterMs: 2 * 3_600_000,
  /** What is missing is sent again only when a second reading, this much later, misses it too. */
  reconcileAgainMs: 10 * 60_000,
  /** Event time that agreed already is compared again this far back: somebody else may have written there. */
  reconcileOverlapMs: 2 * 86_400_000,
  /** Readings of the biller's books a day by comparing (it allows 500 per billed transaction a month); lanes beyond it wait, longest unread first. */
  reconcileReadsPerDay: 240,
  /** Readings in one go; the lanes that are left are compared in the next. */
  reconcileReadsAtOnce: 60,
  /** Readings a day that reports of unknown outcome may take; beyond it they wait for the next day. */
  readBacksPerDay: 240,
  /** Of these two shares so much is each one's own; what either takes beyond it, the other has less. Together: 300 a day. */
  readingsReservedPerDay: 60,
  /** Readings of the books that fail in a row before the comparing ends. */
  reconcileFailuresMax: 3,
  /** Differences of event time before this are not kept. */
  driftKeptMs: 90 * 86_400_000,
  /** New differences that are told one by one; of the others the number. */
  driftsToldMax: 10,
  /** Body of one webhook call; a larger one is refused unread. */
  webhookBytesMax: 1024 * 1024,
  /** Webhook calls under way; further ones are answered 503, and the biller makes them again. */
  webhooksAtOnceMax: 50,
  /** A webhook call that the store has not taken by then is answered 503, and the biller makes it again. */
  webhookTimeoutMs: 10_000,
  /** Refused webhook calls are told of at most this often: anybody can make one. */
  webhookRefusalsTellMs: 60_000,
  /** Age of a webhook's signature; an older one may be somebody's recording. */
  webhookAgeMaxMs: 300_000,
  /** Where the biller says that it has no search of customers, it is not tried again for this long. */
  searchOffMs: 3_600_000,
  /** This machine's clock may differ from the biller's by this; beyond it nothing is sent. */
  clockSkewMaxMs: 4 * 60_000,
  /**
   * How long an instant that agreed with the biller's time lets later ones of this clock decide. A jump is noticed as soon
   * as it leaves this span, so it may move a decision by no more than this; well under `clockSkewMaxMs`.
   */
  clockTrustMs: 2 * 60_000,
  /** Askings for the biller's time in a row, while this machine's clock moves during the call; then nothing is decided. */
  clockAskingsMax: 3,
  /** A window of a billing period's last hour waits for late events at most this long, and at most a quarter of the invoice's grace. */
  lastHourLatenessMs: 15 * 60_000,
  /** Usage counts as too late for its invoice already this long before that is final. */
  finalSafetyMs: 5 * 60_000,
  /** Usage of a period that ended this long ago and is not at the biller is told of. */
  periodReportLateMs: 40 * 60_000,
  /** Tries to close the ended part of a window that is still open, each with what was counted meanwhile; then the next round. */
  partTriesMax: 3,
  /** How far back a free minute for carried usage is looked for. */
  carryMinutesMax: 1_440,
  /** Different field paths that preview remembers for its hints; further ones are not suggested. */
  previewPathsMax: 2_000,

  // --- events over HTTP ---
  /** Events of one call; a call with more is refused whole. Its events are one transaction. */
  sentEventsMax: 10_000,
  /** Bytes of one call's body after inflating; a larger one is refused whole. */
  sentBodyBytesMax: 16 * 1024 * 1024,
  /** Characters of one event; a larger one is rejected. */
  sentEventLengthMax: 256 * 1024,
  /** Calls that wait for their commit, and bytes of their bodies; further ones are answered busy, and nothing of them is kept. */
  waitingCallsMax: 5_000,
  waitingBytesMax: 64 * 1024 * 1024,
  /** Events of one page of a list. */
  listedEventsMax: 1_000,
  /** Events looked at for one page; a page that ends there has fewer events, and says where to go on. */
  searchedEventsMax: 50_000,

  // --- sessions of time meters ---
  /** A start that waits longer for its end is held as missing_end; one without a session's name pairs with no later end. */
  sessionOpenMaxMs: 86_400_000,
  /** Boundaries that wait in one lane and are looked at for a partner; those beyond it pair when earlier ones are gone. */
  sessionsPerLaneMax: 1_000,
  /** Sessions read at once where all that wait are looked at; listing loops. */
  sessionsPageMax: 500,
  /** Tries to record a boundary while another process changes the same sessions; then METER_SERVER_BUSY. */
  sessionTriesMax: 20,

  // --- customers, subjects and meters of the API ---
  /** Entries of the register read at once; who reads all of a kind goes on behind the last one. */
  registerPageMax: 1_000,
  /** Times that a change of the register is computed anew because somebody else changed the entry; then METER_CONFLICT. */
  registerTriesMax: 5,
  /** Subjects that one customer has at a time; more are refused. */
  customerSubjectsMax: 1_000,
  /** Subjects put in one call; more are refused. */
  subjectsPutMax: 1_000,
  /** Characters of a name, of a description, and members of an object that a caller adds; what is longer is refused. */
  entryNameLengthMax: 256,
  entryTextLengthMax: 2_000,
  entryMembersMax: 100,
  /** Living meters that were made over the API; more are refused. */
  apiMetersMax: 1_000,
  /** Labels of one meter of the API. */
  meterLabelsMax: 32,
  /**
   * The past of a meter is counted at once where the store has so few events; else step by step, newest first: a step that
   * comes to more buckets is made smaller, down to one bucket's width, so that memory is bounded.
   */
  backfillBucketsMax: 50_000,
  /** Width of event time of the first step. */
  backfillStepMs: 86_400_000,

  // --- questions about usage: beyond each, METER_REQUEST_INVALID says what to ask instead ---
  /** Rows of one answer. */
  queryRowsMax: 500_000,
  /** Windows between a question's bounds. */
  queryWindowsMax: 200_000,
  /** Conditions of all filters of one question. */
  queryConditionsMax: 1_000,
  /** Events that one question may read, where its windows cut usage buckets. */
  queryEventsMax: 50_000_000,
  /** Questions whose progress is remembered; beyond it the oldest is forgotten. */
  queryProgressMax: 1_000,

  // --- meter types, customers' meters, final records ---
  /** Thresholds of one meter type. */
  thresholdsMax: 20,
  /** Records in one call; a larger call is refused as a whole. */
  recordsMax: 2_000,
  /** Voided records and changed meters of periods that began longer ago than this make no correction of a final record. */
  finalRecordsLateMs: 35 * 86_400_000,
  /** Periods of one meter that are closed in one round, after a long standstill; the next rounds go on. */
  periodsPerRoundMax: 1_000,
  /** Group values in one final record; beyond it the breakdown says that it is cut. */
  recordGroupsMax: 1_000,
  /** Records read at most to find the first or last one of a period, whose fields a final record carries. */
  carryRecordsMax: 20_000,
  /** Final records handed to one sink in a round … */
  emitRecordsMax: 1_000,
  /** … which begins none after this long … */
  emitRoundMs: 30_000,
  /** … nor after so many in a row that it did not take; the others wait for the next round. */
  emitFailuresMax: 3,
  /** A record that a sink did not take is tried again for this long, and then stands as failed. */
  emitGiveUpMs: 3 * 86_400_000,
  /** A sink that one process hands records to, and a record on its way, are left alone by others for this long. */
  emitLeaseMs: 60_000,
  /** One call of a webhook that takes final records, from looking up its address to the end of its answer … */
  sinkTimeoutMs: 15_000,
  /** … of which no more than this is read. */
  sinkAnswerBytesMax: 64 * 1024,
  /** Ended periods are looked for this often, and pending records handed over. */
  periodsEveryMs: 5_000,
  /** End of a file of final records in which one that was written before a crash is looked for. */
  sinkTailBytesMax: 1024 * 1024,

  // --- OpenMeter's wire ---
  /** Customers that one query may be narrowed to. */
  openmeterFilterCustomersMax: 100,
  /** Characters of the name under which a query's progress is asked for. */
  openmeterClientIdMax: 256,
  /** Events in one answer of a list. */
  openmeterEventsMax: 100,
  /** A list of events without a beginning goes back this far. */
  openmeterEventsBackMs: 72 * 3_600_000,
  /** Pages of the store that one call reads for a filter that only reading can judge; its cursor goes on from there. */
  openmeterEventCallsMax: 100,
  /** Rows of one page of a list. */
  openmeterPageMax: 1_000,
  /** Customers that a list reads to filter or sort them by what has no index. */
  openmeterCustomersReadMax: 100_000,
  /** Texts of one label, and how long and how far back the span of the question may be. */
  openmeterLabelValuesMax: 10_000,
  openmeterLabelSpanMs: 86_400_000,
  openmeterLabelSpanMaxMs: 30 * 86_400_000,
  openmeterLabelBackMaxMs: 90 * 86_400_000,
  /** How long a portal token lives. */
  portalTokenMs: 3_600_000,
  /** Portal tokens that live at once; expired ones are cleared so many at a time, when another is made. */
  portalTokensMax: 10_000,
  portalTokensCleared: 100,
  /** Meters that one portal token may name. */
  portalTokenMetersMax: 100,
} as const;
