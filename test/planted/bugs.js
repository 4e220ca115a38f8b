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
        find: "ingest: (entries, recordedAt, meters) =>\n      write(() => {",
        replace:
          "ingest: (entries, recordedAt, meters) =>\n      (async (work: () => ReturnType<typeof ingestEntries>) => work())(() => {",
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
];
