// The planted bugs of the HTTP service.
// @ts-check

const FAULTS = "test/faults/vitest.config.ts";
const SERVE_KILL = { test: "test/faults/serve-kill.test.ts", config: FAULTS, env: { SERVE_KILLS: "10" } };

/** @type {readonly import("./bugs.js").PlantedBug[]} */
export const SERVE_BUGS = [
  {
    name: "call-answered-before-its-commit",
    edits: [
      {
        file: "src/engine/intake/accept.ts",
        find: "return entries.length === 0 ? [] : store.ingest(entries, now, catalog.revision, what);",
        replace:
          'if (entries.length === 0) return [];\n  const told = await store.ingest(entries, now, catalog.revision, "none");\n  setTimeout(() => void store.ingest(entries, now, catalog.revision, what), 5);\n  return told;',
      },
    ],
    ...SERVE_KILL,
    env: { SERVE_KILLS: "20" },
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
