import { fork } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";

import Driver from "better-sqlite3";
import { expect, it, onTestFinished } from "vitest";

import type { RegisterChange, RegisterOutcome } from "../../src/engine/ports.ts";
import { openSqliteStore } from "../../src/sqlite/sqlite-store.ts";
import { tempPath } from "./temp-store.ts";

const BUCKET_MS = 60_000;
const NAMES = 60;

/** A process that claims every name for entries of its own; answers what became of each. */
async function claimAll(path: string, owner: string): Promise<readonly RegisterOutcome[]> {
  const names = Array.from({ length: NAMES }, (_, place) => `n${owner === "a" ? place : NAMES - 1 - place}`);
  const changes: RegisterChange[] = names.map((name) => {
    return { kind: "customer", id: `${owner} ${name}`, seen: null, names: [name], body: name, author: owner };
  });
  const child = fork(join(import.meta.dirname, "register-child.mjs"), { execArgv: [], serialization: "advanced" });
  child.send({ path, bucketMs: BUCKET_MS, changes });
  const [outcomes]: RegisterOutcome[][] = await once(child, "message");
  if (outcomes === undefined) throw new Error("the child answered nothing");
  return outcomes;
}

it("gives each name to one of two processes that claim it at once, and tells the other who has it", async () => {
  const { path, dispose } = await tempPath();
  onTestFinished(dispose);
  const [a, b] = await Promise.all([claimAll(path, "a"), claimAll(path, "b")]);
  const outcomes = [...a, ...b];
  expect(outcomes.filter(({ done }) => done).length).toBe(NAMES);
  const store = await openSqliteStore({ path, bucketMs: BUCKET_MS });
  onTestFinished(() => store.close());
  for (const outcome of outcomes) {
    if (outcome.done) continue;
    expect(outcome.why).toBe("name_taken");
    expect((await store.findEntry("customer", outcome.name ?? ""))?.id).toBe(outcome.holder);
  }
  expect([await store.countEntries("customer"), await store.registerRevision("customer")]).toEqual([NAMES, NAMES]);
}, 60_000);

it("refuses to change a line of history, whoever asks the database for it", async () => {
  const { path, dispose } = await tempPath();
  onTestFinished(dispose);
  const store = await openSqliteStore({ path, bucketMs: BUCKET_MS });
  onTestFinished(() => store.close());
  const change: RegisterChange = { kind: "meter", id: "m", seen: null, names: [], body: 1, author: "file" };
  expect((await store.changeEntries([change], 1)).done).toBe(true);
  const db = new Driver(path);
  onTestFinished(() => void db.close());
  expect(() => db.exec("UPDATE entry_history SET author = 'nobody'")).toThrow("history is immutable");
});
