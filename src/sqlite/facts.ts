import { MeterbookError } from "../core/errors.ts";
import { limits } from "../engine/limits.ts";
import type { CustomerMapping } from "../engine/ports.ts";
import type { Connection } from "./connection.ts";
import { originalText, storedText } from "./stored-text.ts";

type CustomerRow = readonly [
  company: string,
  state: CustomerMapping["state"],
  customers: string,
  checkedAt: number,
  misses: number,
];

/** The company → customer table, or its rows for these companies. */
export function readCustomers(connection: Connection, companies?: readonly string[]): CustomerMapping[] {
  const columns = "SELECT company, state, customers, checked_at, misses FROM customers";
  const one = connection.sql<CustomerRow>(`${columns} WHERE company = ?`).raw();
  const rows =
    companies === undefined
      ? connection.sql<CustomerRow>(`${columns} ORDER BY company`).raw().all()
      : [...new Set(companies)].flatMap((company) => one.all(storedText(company)));
  return rows.map(([company, state, customers, checkedAt, misses]) => {
    const ids: string[] = JSON.parse(customers);
    return { company: originalText(company), state, customers: ids, checkedAt, misses };
  });
}

/** Writes mappings over what is known of their companies. */
export function putCustomers(connection: Connection, mappings: readonly CustomerMapping[]): void {
  const put = connection.sql(
    `INSERT INTO customers VALUES (?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET
       state = excluded.state, customers = excluded.customers, checked_at = excluded.checked_at, misses = excluded.misses`,
  );
  for (const { company, state, customers, checkedAt, misses } of mappings) {
    put.run(storedText(company), state, JSON.stringify(customers), checkedAt, misses);
  }
}

/** The random name that was made with the file's layout. */
export function readStoreId(connection: Connection): string {
  const id = readNote(connection, "store.id");
  if (id !== null) return id;
  throw new MeterbookError("METER_STORE_UNREADABLE", `The database ${connection.path} has lost its own name.`, {
    remedy: "Restore it from a backup: without its name usage could be reported twice.",
  });
}

/** A note's text; null when it was never put. */
export function readNote(connection: Connection, name: string): string | null {
  return connection.sql<string>("SELECT value FROM notes WHERE name = ?").pluck().get(name) ?? null;
}

export function writeNote(connection: Connection, name: string, value: string): void {
  connection.sql("INSERT INTO notes VALUES (?, ?) ON CONFLICT DO UPDATE SET value = excluded.value").run(name, value);
}

/** Takes, extends or (0 ms) gives back a lease; false while another holder's has not run out. */
export function takeLease(connection: Connection, name: string, holder: string, now: number, leaseMs: number): boolean {
  const farthest = now + limits.reporterLeaseMs;
  if (leaseMs === 0) {
    const other = connection
      .sql("SELECT 1 FROM leases WHERE name = ? AND holder <> ? AND until > ? AND until <= ?")
      .get(name, holder, now, farthest);
    if (other !== undefined) return false;
    connection.sql("DELETE FROM leases WHERE name = ?").run(name);
    return true;
  }
  const { changes } = connection
    .sql(
      `INSERT INTO leases VALUES (:name, :holder, :until) ON CONFLICT DO UPDATE SET
         holder = excluded.holder, until = excluded.until
         WHERE holder = :holder OR until <= :now OR until > :farthest`,
    )
    .run({ name, holder, until: now + leaseMs, now, farthest });
  return changes === 1;
}
