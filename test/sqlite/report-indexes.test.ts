import { expect, it, onTestFinished } from "vitest";

import { addRow } from "../../src/sqlite/added-rows.ts";
import { Connection } from "../../src/sqlite/connection.ts";
import { loadDriver } from "../../src/sqlite/driver.ts";
import { forget } from "../../src/sqlite/forgotten-rows.ts";
import { heldLanes, holdRows } from "../../src/sqlite/held-rows.ts";
import { readOutbox, reportedLanes } from "../../src/sqlite/outbox-query.ts";
import { claimRows } from "../../src/sqlite/outbox-rows.ts";
import { readHistory } from "../../src/sqlite/row-history.ts";
import { openSqliteStore } from "../../src/sqlite/sqlite-store.ts";
import { cancelOf } from "../../src/testing/store-suite/change-cases.ts";
import { counted, enqueueAll, HOUR } from "../../src/testing/store-suite/store-case.ts";
import { tempPath } from "./temp-store.ts";

/** Remembers what it is asked. */
class ListeningConnection extends Connection {
  readonly asked = new Set<string>();

  override sql<Row = unknown>(text: string): ReturnType<typeof Connection.prototype.sql<Row>> {
    this.asked.add(text);
    return super.sql<Row>(text);
  }
}

/** How SQLite goes about what is asked meanwhile. */
async function plansOf(work: (connection: Connection) => unknown): Promise<string> {
  const { path, dispose } = await tempPath();
  const store = await openSqliteStore({ path, bucketMs: 60_000 });
  await store.ingest([counted({ id: "a" }, 5)], HOUR);
  await enqueueAll(store, { state: "accepted" });
  await store.close();
  const connection = new ListeningConnection(await loadDriver(), path, false);
  onTestFinished(async () => {
    connection.close();
    await dispose();
  });
  connection.write(() => work(connection));
  const plans = [...connection.asked]
    .filter((text) => text.includes("outbox"))
    .flatMap((text) => {
      const plan = `EXPLAIN QUERY PLAN ${text.replaceAll(/\?|:\w+/g, ":p")}`;
      return connection.db.prepare<unknown[], { detail: string }>(plan).all(...(plan.includes(":p") ? [{ p: 1 }] : []));
    });
  return plans.map(({ detail }) => detail).join("\n");
}

const lane = { customer: "cus_acme", reportAs: "tokens" };

it("finds rows by identifier, and a customer's by stated time, without looking at others", async () => {
  expect(await plansOf((c) => readOutbox(c, { identifier: "mb_1", limit: 9 }))).toMatch(
    /SEARCH outbox USING INDEX outbox_identifier \(identifier=\?\)/,
  );
  const range = { timestampFrom: HOUR, timestampTo: HOUR * 2 };
  for (const state of [{}, { state: "accepted" }, { state: "settled" }] as const)
    expect(await plansOf((c) => readOutbox(c, { ...lane, ...range, ...state, limit: 9 }))).toMatch(
      /SEARCH outbox USING INDEX outbox_stated \(customer=\? AND report_as=\? AND timestamp>\? AND timestamp<\?\)/,
    );
});

it("leaves the bulk of done rows out of what is looked through", async () => {
  for (const state of ["held", "pending", "sending", "dead", "conflict"] as const)
    expect(await plansOf((c) => readOutbox(c, { state, limit: 9 }))).toMatch(/INDEX outbox_(state|sending|queue)/);
  const claims = await plansOf((c) => claimRows(c, { now: HOUR, leaseMs: 1, holder: "h", limit: 9 }));
  expect(claims).toMatch(/INDEX outbox_queue/);
  expect(claims).toMatch(/outbox_sending \(customer=\? AND meter=\?\)/);
  expect(claims).toMatch(/outbox_pending \(customer=\? AND meter=\? AND window_start<\?\)/);
  expect(claims).not.toMatch(/outbox_stated|SCAN outbox$/m);
  const lanes = await plansOf((c) => reportedLanes(c, { from: 0, to: HOUR * 2 }));
  expect(lanes).toMatch(/outbox_stated \(\(customer,report_as\)>\(\?,\?\)\)/);
  expect(lanes).toMatch(/outbox_stated \(customer=\? AND report_as=\? AND timestamp>\? AND timestamp<\?\)/);
  expect(lanes).not.toMatch(/TEMP B-TREE|SCAN/);
});

it("adds rows and lines of history by indexes alone", async () => {
  const cancelling = await plansOf((c) => {
    const [row] = readOutbox(c, { rowId: 1, limit: 1 });
    if (row === undefined) throw new Error("no row");
    expect(addRow(c, cancelOf(row), "operator:ada", "why", HOUR)).not.toBe(null);
    readHistory(c, 1);
  });
  expect(cancelling).toMatch(/outbox_cancels \(cancels=\?\)/);
  expect(cancelling).toMatch(/outbox_attempts_row/);
  expect(cancelling).toMatch(/outbox_changes_row/);
  expect(cancelling).not.toMatch(/SCAN outbox/);
  const holds = await plansOf((c) => {
    holdRows(c, { company: "acme", reportAs: "tokens" }, "no_customer", HOUR);
    holdRows(c, { timestampBefore: HOUR }, "too_old", HOUR);
    heldLanes(c);
  });
  expect(holds).not.toMatch(/SCAN outbox$/m);
});

it("forgets histories by their numbers, and looks through no report for a deleted attempt", async () => {
  const plans = await plansOf((c) => {
    const [row] = readOutbox(c, { rowId: 1, limit: 1 });
    if (row === undefined) throw new Error("no row");
    addRow(c, cancelOf(row), "operator:ada", "why", HOUR);
    c.sql("INSERT INTO outbox_attempts (row_id, attempt, at) VALUES (1, 1, ?)").run(HOUR);
    for (const kind of ["attempt", "change"] as const) forget(c, { kind, before: HOUR * 2, after: null, limit: 9 });
    // What SQLite asks for each deleted attempt, since rows refer to theirs.
    c.sql("SELECT 1 FROM outbox WHERE attempt = ?").all(1);
  });
  expect(plans).toMatch(/SEARCH outbox_attempts USING INTEGER PRIMARY KEY \(rowid>\?/);
  expect(plans).toMatch(/SEARCH outbox_changes USING INTEGER PRIMARY KEY \(rowid>\?/);
  expect(plans).toMatch(/SEARCH outbox USING INTEGER PRIMARY KEY/);
  expect(plans).toMatch(/SEARCH outbox USING (COVERING )?INDEX outbox_attempt/);
  expect(plans).not.toMatch(/SCAN outbox/);
});
