// The bugs that must be caught: each is one that real systems had, with the exact text that it changes and the test that
// must turn red. When the text is no longer there, the run fails: a bug that cannot be planted guards nothing.
// @ts-check

/**
 * @typedef {object} PlantedBug
 * @property {string} name
 * @property {readonly { file: string, find: string, replace: string }[]} edits
 * @property {string} test File of the guarding test.
 * @property {string} [config] vitest's configuration, where it is not the default suite's.
 * @property {string} [only] Part of the test's title.
 * @property {Readonly<Record<string, string>>} [env]
 */

const FAULTS = "test/faults/vitest.config.ts";
const KILL_AT_CALL = { test: "test/faults/kill-at-call.test.ts", config: FAULTS };
const SIMULATION = { test: "test/simulation/simulation.test.ts", config: FAULTS, only: "whatever fails" };

const KILL_UNDER_LOAD = { test: "test/faults/kill-under-load.test.ts", config: FAULTS, env: { KILLS: "40" } };
const SERVE_KILL = { test: "test/faults/serve-kill.test.ts", config: FAULTS, env: { SERVE_KILLS: "10" } };
const SOAK = { test: "test/faults/soak.test.ts", config: FAULTS, env: { SOAK_SECONDS: "1" } };
const MATRIX = { test: "test/faults/stripe-matrix.test.ts", config: FAULTS };

/** @type {readonly PlantedBug[]} */
export const PLANTED_BUGS = [
  {
    name: "normal-instead-of-full",
    edits: [
      {
        file: "src/sqlite/connection.ts",
        find: 'const foreignKeys = db.pragma("foreign_keys", { simple: true });',
        replace:
          'const foreignKeys = db.pragma("foreign_keys", { simple: true });\n  db.pragma("synchronous = NORMAL");',
      },
    ],
    test: "test/faults/power-cut.test.ts",
    config: FAULTS,
  },
  {
    name: "unsynced-journal-lines",
    edits: [
      {
        file: "src/journal/group-sync.ts",
        find: "for (const fd of files) await syncLines(fd)",
        replace: "for (const fd of files.slice(1)) await syncLines(fd)",
      },
    ],
    test: "test/faults/power-cut.test.ts",
    config: FAULTS,
  },
  {
    name: "journal-deleted-before-commit",
    edits: [
      {
        file: "src/journal/drain.ts",
        find: "if (!this.#handout.outstanding) this.#sweep();",
        replace:
          "for (const { segments } of this.#writers.values()) for (const segment of segments) segment.committed = segment.offset;\n    this.#sweep();",
      },
    ],
    ...KILL_AT_CALL,
  },
  {
    name: "dedupe-outside-the-transaction",
    edits: [
      {
        file: "src/sqlite/sqlite-store.ts",
        find: "ingest: async (entries, recordedAt, meters, keep) =>\n      writeKept(c, keep, () => {",
        replace:
          "ingest: async (entries, recordedAt, meters) =>\n      (async (_write: unknown, work: () => ReturnType<typeof ingestEntries>) => work())(writeKept, () => {",
      },
    ],
    ...KILL_AT_CALL,
  },
  {
    name: "marked-sent-before-it-is-sent",
    edits: [
      {
        file: "src/engine/delivery/delivery.ts",
        find: "const answer = await answerTo(call.make);",
        replace: 'await settle({ kind: "accepted", requestId: null });\n  const answer = await answerTo(call.make);',
      },
    ],
    ...SIMULATION,
  },
  {
    name: "new-identifier-for-each-try",
    edits: [
      {
        file: "src/engine/delivery/delivery.ts",
        find: 'const record = recordOf(gate.kind === "cancel" ? gate.original : row);',
        replace:
          'const plain = recordOf(gate.kind === "cancel" ? gate.original : row);\n    const record = plain === null ? null : { ...plain, identifier: `${plain.identifier}.${row.attempts}` };',
      },
    ],
    ...SIMULATION,
  },
  {
    name: "resent-blindly-after-a-day",
    edits: [
      {
        file: "src/engine/limits.ts",
        find: "resendSafeMs: 23 * 3_600_000",
        replace: "resendSafeMs: 2_300 * 3_600_000",
      },
    ],
    ...SIMULATION,
  },
  {
    name: "thawed-reporter-not-fenced",
    edits: [
      {
        file: "src/sqlite/outbox-rows.ts",
        find: "FROM outbox WHERE row_id = ? AND token = ? AND state = 'sending'`,",
        replace: "FROM outbox WHERE row_id = ? AND (token = ? OR true)`,",
      },
    ],
    test: "test/faults/frozen.test.ts",
    config: FAULTS,
  },
  {
    name: "refused-line-said-to-be-written",
    edits: [
      {
        file: "src/journal/journal.ts",
        find: "this.#failed(failure.cause, failure.torn);\n      return this.#refuse(length);",
        replace: "this.#failed(failure.cause, failure.torn);\n      this.#refuse(length);\n      return true;",
      },
    ],
    test: "test/faults/failing-journal.test.ts",
    config: FAULTS,
  },
  {
    name: "batch-forgotten-after-a-failed-commit",
    edits: [
      {
        file: "src/runtime/node.ts",
        find: "drain.rollback();\n      throw error;",
        replace: "throw error;",
      },
    ],
    test: "test/faults/failing-store.test.ts",
    config: FAULTS,
  },
  {
    name: "connection-stays-read-only",
    edits: [
      {
        file: "src/sqlite/connection.ts",
        find: "/IOERR|CORRUPT|FULL|NOTADB|CANTOPEN|READONLY/",
        replace: "/IOERR|CORRUPT|FULL|NOTADB|CANTOPEN/",
      },
    ],
    test: "test/faults/full-disk.test.ts",
    config: FAULTS,
  },
  {
    name: "wrong-clock-not-noticed",
    edits: [
      {
        file: "src/stripe/clock-skew.ts",
        find: "complaint: () => complaint,",
        replace: "complaint: () => null,",
      },
    ],
    test: "test/faults/clock.test.ts",
    config: FAULTS,
    only: "a day ahead",
  },
  {
    name: "duplicates-counted-again",
    edits: [
      {
        file: "src/sqlite/ingest-rows.ts",
        find: "else this.refuse(entry.event);",
        replace:
          "else {\n      pushCounted(this.counted, entry.counts, entry.event.time, this.nextSeq);\n      this.refuse(entry.event);\n    }",
      },
    ],
    test: "test/faults/processes.test.ts",
    config: FAULTS,
  },
  {
    name: "local-time-window-keys",
    edits: [
      {
        file: "src/core/window.ts",
        find: "return time - remainder(time, windowMs);",
        replace: "return time - remainder(time - new Date(time).getTimezoneOffset() * 60_000, windowMs);",
      },
    ],
    test: "test/core/window.test.ts",
    env: { TZ: "Asia/Kathmandu" },
  },
  {
    name: "float-sums",
    edits: [
      {
        file: "src/core/aggregation.ts",
        find: "draft.value = (known ?? 0n) + value;",
        replace: "draft.value = BigInt(Math.round(Number(known ?? 0n) + Number(value)));",
      },
    ],
    test: "test/core/nasty-numbers.test.ts",
  },
  {
    name: "lines-gathered-before-they-are-written",
    edits: [
      {
        file: "src/runtime/meter.ts",
        find: "append: (json) => journal.append(json),",
        replace: "append: (json) => setTimeout(() => journal.append(json), 20) !== null,",
      },
    ],
    ...KILL_UNDER_LOAD,
  },
  {
    name: "drain-commits-before-it-stores",
    edits: [
      {
        file: "src/runtime/node.ts",
        find: "if (events.length > 0) await takeEvents(intake, by, events);",
        replace: "drain.commit();\n      if (events.length > 0) await takeEvents(intake, by, events);",
      },
    ],
    ...KILL_UNDER_LOAD,
  },
  {
    name: "each-request-kept",
    edits: [
      {
        file: "src/runtime/meter.ts",
        find: "append: (json) => journal.append(json),",
        replace:
          "append: (json) => {\n        kept.push([json.length]);\n        return journal.append(json);\n      },",
      },
      {
        file: "src/runtime/meter.ts",
        find: "  // First, because it can refuse its options: nothing is open then.",
        replace: "  const kept: unknown[] = [];",
      },
    ],
    ...SOAK,
  },
  {
    name: "stored-segments-never-deleted",
    edits: [
      {
        file: "src/journal/writer-segments.ts",
        find: "unlinkSync(path);\n      this.#segments.delete(number);",
        replace: "continue;",
      },
    ],
    ...SOAK,
  },
  {
    name: "failed-call-taken-for-a-refusal",
    edits: [
      {
        file: "src/stripe/report-answer.ts",
        find: "if (status >= 500) return {",
        replace: "if (status === 500) return {",
      },
    ],
    ...MATRIX,
    only: "503",
  },
  {
    name: "duplicate-answer-taken-for-a-failure",
    edits: [
      {
        file: "src/stripe/report-answer.ts",
        find: "if (status === 400 && namesTaken(message, identifier))",
        replace: "if (status === 409 && namesTaken(message, identifier))",
      },
    ],
    ...MATRIX,
    only: "400 already exists",
  },
  {
    name: "no-answer-taken-for-accepted",
    edits: [
      {
        file: "src/stripe/report-answer.ts",
        find: "if (status === null) return unknown(",
        replace:
          'if (status === null) return { kind: "accepted", requestId: null };\n  if (status === null) return unknown(',
      },
    ],
    ...MATRIX,
    only: "reset before it is counted",
  },
  {
    name: "retry-after-not-heeded",
    edits: [
      {
        file: "src/engine/delivery/delivery.ts",
        find: "Math.min(answer.retryAfterMs ?? 0, limits.retryAfterMaxMs)",
        replace: "Math.min(0, limits.retryAfterMaxMs)",
      },
    ],
    ...MATRIX,
    only: "429 with Retry-After",
  },
  {
    name: "too-many-digits-sent",
    edits: [
      {
        file: "src/engine/outbox/placement.ts",
        find: "if (tooManyDigits(row.value)) return held",
        replace: "if (row.value === null) return held",
      },
      {
        file: "src/engine/outbox/placement.ts",
        find: "if (tooManyDigits(place.reported)) return held",
        replace: "if (place.reported === null) return held",
      },
    ],
    test: "test/faults/stripe-matrix-edges.test.ts",
    config: FAULTS,
    only: "15 digits",
  },
  {
    name: "sent-without-pace",
    edits: [
      {
        file: "src/engine/delivery/delivery.ts",
        find: "if (delay > 0) await wait(delay);",
        replace: "if (delay > 60_000) await wait(delay);",
      },
    ],
    test: "test/faults/stripe-matrix-two.test.ts",
    config: FAULTS,
    only: "drains within",
  },
  {
    name: "clock-trusted-for-a-whole-round",
    edits: [
      {
        file: "src/engine/delivery/clock-trust.ts",
        find: "covers: (now) => isWithin(now, clockTrustMs)",
        replace: "covers: () => true",
      },
      {
        file: "src/engine/delivery/clock-trust.ts",
        find: 'if (when !== "now" && isWithin(clock.now(), clockTrustMs / 2)) return null;',
        replace: 'if (when !== "now" && agreedAt !== null) return null;',
      },
    ],
    test: "test/stripe/clock-jump.test.ts",
  },
  {
    name: "refusal-after-unknown-is-final",
    edits: [
      {
        file: "src/engine/delivery/delivery.ts",
        find: "if (attempts === 0 || ",
        replace: "if (attempts >= 0 || ",
      },
    ],
    test: "test/engine/delivery/refused-retry.test.ts",
  },
  {
    name: "read-back-without-allowance",
    edits: [
      {
        file: "src/engine/delivery/read-back.ts",
        find: '  if (readings.spent() >= limits.readBacksPerDay) return "used_up";\n',
        replace: "",
      },
    ],
    test: "test/engine/delivery/read-allowance.test.ts",
  },
  {
    name: "sent-without-a-subscription",
    edits: [
      {
        file: "src/engine/outbox/coverage.ts",
        find: 'noSubscription === "send" || !questions.isTold()',
        replace: "noSubscription !== undefined || !questions.isTold()",
      },
    ],
    test: "test/stripe/no-subscription-property.test.ts",
  },
  {
    name: "cut-usage-moved-behind-a-subscription",
    edits: [
      {
        file: "src/memory/memory-row.ts",
        find: " && !waitsForSubscription(row)",
        replace: "",
      },
    ],
    test: "test/memory/memory-store.test.ts",
  },
  {
    name: "call-answered-before-its-commit",
    edits: [
      {
        file: "src/engine/intake/accept.ts",
        find: "return entries.length === 0 ? [] : store.ingest(entries, now, catalog.revision, what);",
        replace:
          'if (entries.length === 0) return [];\n  const told = await store.ingest(entries, now, catalog.revision, "none");\n  setImmediate(() => void store.ingest(entries, now, catalog.revision, what));\n  return told;',
      },
    ],
    ...SERVE_KILL,
  },
  {
    name: "part-of-an-atomic-call-kept",
    edits: [
      {
        file: "src/engine/intake/accept.ts",
        find: 'isWhole ? "all" : "none"',
        replace: '"each"',
      },
    ],
    ...SERVE_KILL,
  },
  {
    name: "atomic-call-in-two-transactions",
    edits: [
      {
        file: "src/engine/intake/accept.ts",
        find: "return entries.length === 0 ? [] : store.ingest(entries, now, catalog.revision, what);",
        replace:
          'if (entries.length === 0) return [];\n  if (what !== "all") return store.ingest(entries, now, catalog.revision, what);\n  const told: IngestStatus[] = [];\n  for (const entry of entries) told.push(...(await store.ingest([entry], now, catalog.revision, what)));\n  return told;',
      },
    ],
    ...SERVE_KILL,
    env: { SERVE_KILLS: "30" },
  },
  {
    name: "event-known-by-its-id-alone",
    edits: [
      {
        file: "src/sqlite/schema.ts",
        find: "CREATE UNIQUE INDEX events_identity ON events (id, source);",
        replace: "CREATE UNIQUE INDEX events_identity ON events (id);",
      },
      {
        file: "src/sqlite/ingest-rows.ts",
        find: 'const ONCE = "ON CONFLICT (id, source) DO NOTHING";',
        replace: 'const ONCE = "ON CONFLICT (id) DO NOTHING";',
      },
    ],
    test: "test/engine/intake/accept.test.ts",
    only: "told apart within one call",
  },
  {
    name: "revoked-key-still-let-in",
    edits: [
      {
        file: "src/engine/registry/api-keys.ts",
        find: '      kind: "api_key",\n      limit: limits.apiKeysPageMax,',
        replace: '      kind: "api_key",\n      includeDeleted: true,\n      limit: limits.apiKeysPageMax,',
      },
    ],
    test: "test/server/access.test.ts",
    only: "revoke",
  },
  {
    name: "customer-token-asks-for-others",
    edits: [
      {
        file: "src/server/routes/queries.ts",
        find: "if (given.customers?.some((customer) => customer !== id) === true) throw notThere();",
        replace: "if (given.customers !== undefined) return given;",
      },
    ],
    test: "test/server/matrix.test.ts",
    only: "shows its customer's usage alone",
  },
  {
    name: "half-counted-past-left-until-a-write",
    edits: [
      {
        file: "src/runtime/http-service.ts",
        find: "  void backend.readiness({});\n",
        replace: "",
      },
    ],
    test: "test/faults/serve-changes.test.ts",
    config: FAULTS,
    only: "while a new meter",
  },
];
