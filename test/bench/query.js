import { statSync } from "node:fs";
import { join } from "node:path";

import Database from "better-sqlite3";

import { compileCatalog } from "../../dist/core/catalog.js";
import { formatDecimal, fromInteger } from "../../dist/core/decimal.js";
import { queryMeter } from "../../dist/engine/usage/meter-query.js";
import { openSqliteStore } from "../../dist/sqlite/sqlite-store.js";
import { figure, table, target, thousands } from "./report.js";
import { median } from "./statistics.js";

const DAYS = 30;
const DAY_MS = 86_400_000;
const BUCKET_MS = 900_000;
const START = Date.UTC(2026, 9, 1);
const BUCKETS_PER_DAY = DAY_MS / BUCKET_MS;

const METER = {
  key: "tokens",
  name: "Tokens",
  unit: null,
  eventType: "t",
  match: [],
  aggregate: "sum",
  value: "data.tokens",
  groupBy: {},
  missingValue: "skip",
  allowNegative: false,
  report: false,
  reportAs: "tokens",
};

/** Questions over usage of so many events, in buckets of a quarter of an hour and in days. */
export async function measureQuery({ folder, queryEvents: events, queryCompanies: companies, queryRounds: rounds }) {
  const path = join(folder, "meter.db");
  const made = await makeUsage(path, events, companies);
  const store = await openSqliteStore({ path, bucketMs: BUCKET_MS, readOnly: true });
  const versions = [{ definition: METER, version: 1, effectiveFrom: 0 }];
  const catalog = compileCatalog({ versions, fields: {}, unknownIdentity: "hold" });
  const attribution = attributionOf(companies);
  const ask = (question) =>
    queryMeter(store, catalog, attribution, {
      meter: "tokens",
      from: START,
      to: START + DAYS * DAY_MS,
      window: { unit: "day", count: 1 },
      zone: "UTC",
      groupBy: [],
      fill: false,
      ...question,
    });
  const one = { customers: ["c7"] };
  const rows = [];
  const measured = {};
  for (const [name, question, times] of [
    ["one customer by day", one, 20 * rounds],
    ["one customer by hour", { ...one, window: { unit: "hour", count: 1 } }, 5 * rounds],
    ["one customer by day, New York", { ...one, zone: "America/New_York" }, 5 * rounds],
    ["all customers, one row each", { window: null, groupBy: ["customer"] }, rounds],
    ["all customers by day", { groupBy: ["customer"] }, rounds],
    ["all subjects by day", { groupBy: ["subject"] }, rounds],
    ["one subject by day", { subjects: ["company-7"] }, rounds],
    ["the sum of all by day", {}, rounds],
    ["the sum of all by month, New York", { window: { unit: "month", count: 1 }, zone: "America/New_York" }, rounds],
  ]) {
    const { answer, ms } = await timed(() => ask(question), times);
    measured[name] = ms;
    rows.push([name, thousands(answer.rows.length), figure(ms, ms < 10 ? 2 : 1)]);
    checkTotal(name, question, answer, made);
  }
  await store.close();
  return {
    title: "Questions about usage",
    about: `${thousands(events)} events of ${thousands(companies)} customers over ${DAYS} days as usage: ${thousands(made.buckets)} buckets of a quarter of an hour and ${thousands(made.days)} days, ${thousands(made.bytes)} bytes; made by SQL, without the events themselves. Medians; the answer's rows included, as objects with exact decimals.`,
    tables: [table(["question", "rows", "ms"], rows)],
    targets: [
      target(
        "one customer by day, ms",
        "≤ 2",
        figure(measured["one customer by day"], 2),
        measured["one customer by day"] <= 2,
      ),
      target(
        "all customers by day, ms",
        "≤ 100",
        figure(measured["all customers by day"]),
        measured["all customers by day"] <= 100,
      ),
      target(
        "memory of the process, MB",
        "< 300",
        figure(process.memoryUsage().rss / 1e6, 0),
        process.memoryUsage().rss < 300e6,
      ),
    ],
  };
}

async function timed(work, times) {
  let answer = await work();
  const all = [];
  for (let round = 0; round < times; round++) {
    const start = performance.now();
    answer = await work();
    all.push(performance.now() - start);
  }
  return { answer, ms: median(all) };
}

/** A question that is answered fast and wrong is no figure. */
function checkTotal(name, { customers, subjects, zone }, { rows }, made) {
  if (zone !== undefined) return;
  const wanted = customers === undefined && subjects === undefined ? made.total : made.ofOne;
  const found = rows.reduce((sum, { value }) => sum + BigInt(value), 0n);
  if (found !== wanted) throw new Error(`${name}: ${found} instead of ${wanted}`);
}

function attributionOf(companies) {
  const customers = Array.from({ length: companies }, (_, place) => ({
    id: `c${place}`,
    key: `company-${place}`,
    subjects: [],
  }));
  const byName = new Map(
    customers.flatMap((customer) => [
      [customer.id, customer],
      [customer.key, customer],
    ]),
  );
  return {
    revision: 1,
    companyOf: (subject) => subject,
    customerOf: (company) => byName.get(company) ?? null,
    companiesOf: ({ id, key }) => [key, id],
    turnsOf: () => [],
    find: (name) => byName.get(name) ?? null,
  };
}

/** The rows that ingesting would have made, written at once: only what is read is measured here. */
async function makeUsage(path, events, companies) {
  const store = await openSqliteStore({ path, bucketMs: BUCKET_MS });
  await store.close();
  const db = new Database(path);
  db.pragma("synchronous = OFF");
  const name = db.prepare("INSERT INTO names VALUES (?, ?)");
  const bucket = db.prepare("INSERT INTO buckets VALUES (1, ?, ?, 2, 'sum', ?, ?, 0, 0)");
  const random = seeded(4_711);
  const perBucket = events / (companies * DAYS * BUCKETS_PER_DAY);
  let [total, ofOne, buckets] = [0n, 0n, 0];
  db.transaction(() => {
    name.run(1, METER.key);
    name.run(2, "{}");
    for (let place = 0; place < companies; place++) {
      name.run(10 + place, `company-${place}`);
      for (let at = 0; at < DAYS * BUCKETS_PER_DAY; at++) {
        const count = Math.floor(perBucket * 2 * random());
        if (count === 0) continue;
        const tokens = BigInt(Math.floor(count * 500 * random()));
        bucket.run(10 + place, START + at * BUCKET_MS, count, fromInteger(tokens).toString());
        total += tokens;
        if (place === 7) ofOne += tokens;
        buckets += 1;
      }
    }
    db.exec("INSERT INTO meta VALUES ('days_stale', 1)");
  })();
  db.close();
  // Opening it adds the days up, as for a file of an older release.
  const reopened = await openSqliteStore({ path, bucketMs: BUCKET_MS });
  const days = await reopened.buckets({ meter: METER.key, grain: "day" });
  if (formatDecimal(days.reduce((sum, { state }) => sum + state.value, 0n)) !== String(total))
    throw new Error("the days are wrong");
  await reopened.close();
  return { total, ofOne, buckets, days: days.length, bytes: statSync(path).size };
}

/** Numbers from 0 to 1 that are the same in every run (mulberry32). */
function seeded(seed) {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
