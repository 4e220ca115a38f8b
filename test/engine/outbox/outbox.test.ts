import { describe, expect, it } from "vitest";

import { formatDecimal } from "../../../src/core/decimal.ts";
import { limits } from "../../../src/engine/limits.ts";
import { closeWindows, enqueueRows, plannedRows } from "../../../src/engine/outbox/outbox.ts";
import { reportEras } from "../../../src/engine/outbox/report-windows.ts";
import type { DirtyWindow, OutboxRow, Store } from "../../../src/engine/ports.ts";
import { recordingReporter, type RecordingReporter } from "../../../src/testing/recording-reporter.ts";
import { calls, catalogOf, chat, HOUR, MINUTE, START, tokens, world, type World } from "../world.ts";
import { closingOf, type OpenClosing } from "./closing-world.ts";

const ACCOUNT = "report.account";
const MODES = "report.modes";

/** Customers of these companies, by name. */
function customersOf(companies: readonly string[]): RecordingReporter {
  return recordingReporter({
    customers: Object.fromEntries(companies.map((company) => [company, `cus_${company}`])),
  });
}

/** Usage of one window that has ended, for these companies. */
async function ended(...companies: readonly string[]): Promise<World> {
  const base = world({ catalog: catalogOf(tokens) });
  await base.take(...companies.map((company) => chat("5", { company })));
  base.clock.set(START + 2 * HOUR);
  return base;
}

function many(count: number): readonly string[] {
  return Array.from({ length: count }, (_, at) => `company-${String(at).padStart(4, "0")}`);
}

async function close({ closing, modes }: OpenClosing): ReturnType<typeof closeWindows> {
  return closeWindows(closing, modes);
}

function rowsOf(store: Store): Promise<readonly OutboxRow[]> {
  return store.outbox({ limit: 9_999 });
}

async function dirty({ store, clock }: World): Promise<readonly DirtyWindow[]> {
  return store.dirtyWindows({ windowMs: HOUR, before: clock.now(), limit: 9_999 });
}

/** Companies that one customer pays for, on a meter that keeps one total an hour: one of them at a time. */
function shared(companies: readonly string[], others: readonly string[]): RecordingReporter {
  const customers = Object.fromEntries([
    ...companies.map((company) => [company, "cus_shared"]),
    ...others.map((company) => [company, `cus_${company}`]),
  ]);
  const reporter = recordingReporter({ customers });
  reporter.setMeter("chat_tokens", { kind: "ready", keepsLast: "hour" });
  return reporter;
}

/** What windows would become: meter and company, and of a row its usage, its value and its state. */
async function planned(base: World): Promise<readonly string[]> {
  const { closing } = await closingOf(base, customersOf(["acme", "globex"]));
  const { rows } = await plannedRows(closing, await dirty(base));
  return rows.map(({ row, basis: { meter, company } }) => {
    const figures = row === null ? ["none"] : [formatDecimal(row.raw), formatDecimal(row.value), row.state];
    return [meter, company, ...figures].join(" ");
  });
}

describe("closing windows", () => {
  it("makes one row of each, and remembers their width", async () => {
    const base = await ended("acme", "globex");
    expect(await close(await closingOf(base, customersOf(["acme", "globex"])))).toEqual({ closed: 2, held: [] });
    expect((await rowsOf(base.store)).map(({ company, state }) => [company, state])).toEqual([
      ["acme", "pending"],
      ["globex", "pending"],
    ]);
    expect(await reportEras(base.store)).toEqual([{ from: Number.MIN_SAFE_INTEGER, windowMs: HOUR }]);
    expect(await dirty(base)).toEqual([]);
  });

  it("goes on until none is left, however many there are", async () => {
    const companies = many(limits.closeWindowsMax + 1);
    const base = await ended(...companies);
    const { closed, held } = await close(await closingOf(base, recordingReporter()));
    expect([closed, held.length]).toEqual([companies.length, companies.length]);
    expect(await dirty(base)).toEqual([]);
  }, 120_000);

  it("tells which usage had to be held, and no other", async () => {
    const base = await ended("acme", "initech");
    const { closed, held } = await close(await closingOf(base, customersOf(["acme"])));
    expect(closed).toBe(2);
    expect(held).toMatchObject([{ company: "initech", state: "held", reason: "no_customer" }]);
  });

  it("puts nothing into the outbox while another node reports, and stops where it lost the lease", async () => {
    const base = await ended(...many(limits.closeWindowsMax + 1));
    const lost = await closingOf(base, recordingReporter(), { keepLease: async () => false });
    expect(await close(lost)).toEqual({ closed: 0, held: [] });
    expect(await rowsOf(base.store)).toEqual([]);
    const leases = [true, false].values();
    const keepLease = async (): Promise<boolean> => leases.next().value ?? false;
    expect(await close(await closingOf(base, recordingReporter(), { keepLease }))).toMatchObject({
      closed: limits.closeWindowsMax,
    });
    expect(await dirty(base)).toHaveLength(1);
  }, 120_000);

  it("gives up on windows that change as fast as they are read, and the next round takes them", async () => {
    const base = await ended("acme");
    let reads = 0;
    const busy: Store = {
      ...base.store,
      enqueue: async (rows, at) => {
        reads += 1;
        await base.take(chat("1", { time: START + 1 }));
        return base.store.enqueue(rows, at);
      },
    };
    const reporter = customersOf(["acme"]);
    expect(await close(await closingOf({ ...base, store: busy }, reporter))).toEqual({ closed: 0, held: [] });
    expect(reads).toBe(1);
    expect(await close(await closingOf(base, reporter))).toEqual({ closed: 1, held: [] });
    expect((await rowsOf(base.store)).map(({ value }) => formatDecimal(value))).toEqual(["6"]);
  });

  it("names no usage as held that was not put into the outbox", async () => {
    const base = await ended("initech");
    const refusing: Store = { ...base.store, enqueue: async () => 0 };
    expect(await close(await closingOf({ ...base, store: refusing }, recordingReporter()))).toEqual({
      closed: 0,
      held: [],
    });
  });

  it("leaves what a window gets behind it to the next round", async () => {
    const base = await ended("acme");
    let isFirst = true;
    const growing: Store = {
      ...base.store,
      enqueue: async (rows, at) => {
        const closed = await base.store.enqueue(rows, at);
        if (isFirst) await base.take(chat("2", { time: START + 1 }));
        isFirst = false;
        return closed;
      },
    };
    const reporter = customersOf(["acme"]);
    const closed = async (): Promise<number> =>
      (await close(await closingOf({ ...base, store: growing }, reporter))).closed;
    expect([await closed(), await closed()]).toEqual([1, 1]);
    expect((await rowsOf(base.store)).map(({ sequence, value }) => [sequence, formatDecimal(value)])).toEqual([
      [0, "5"],
      [1, "2"],
    ]);
  });
});

describe("a window that cannot be closed now", () => {
  it("stays as it is, and keeps none of the others waiting", async () => {
    const base = await ended("acme", "acme-2", "globex");
    expect(await close(await closingOf(base, shared(["acme", "acme-2"], ["globex"])))).toEqual({ closed: 2, held: [] });
    expect(await dirty(base)).toMatchObject([{ company: "acme-2" }]);
    expect(await base.store.getNote(MODES)).toBe('{"chat_tokens":"hour"}');
  });

  it("keeps none waiting though more of them than are read at once stand before it", async () => {
    const companies = many(limits.closeWindowsMax + 1);
    const base = await ended(...companies);
    await base.take(chat("5", { company: "globex", time: START + HOUR }));
    base.clock.set(START + 3 * HOUR);
    expect(await close(await closingOf(base, shared(companies, ["globex"])))).toEqual({ closed: 2, held: [] });
    expect((await rowsOf(base.store)).map(({ company }) => company)).toEqual([companies[0], "globex"]);
  }, 120_000);

  it("is named beside the rows that are planned", async () => {
    const base = await ended("acme", "acme-2");
    const { closing } = await closingOf(base, shared(["acme", "acme-2"], []));
    const { rows, postponed } = await plannedRows(closing, await dirty(base));
    expect(rows.map(({ basis }) => basis.company)).toEqual(["acme"]);
    expect(postponed.map(({ company }) => company)).toEqual(["acme-2"]);
  });
});

describe("planned rows", () => {
  it("carry the rest from window to window of a company and meter, and to no other", async () => {
    const base = world({ catalog: catalogOf(tokens) });
    for (const hour of [0, 1, 2])
      await base.take(
        chat("0.4", { time: START + hour * HOUR }),
        chat("0.7", { time: START + hour * HOUR, company: "globex" }),
      );
    base.clock.set(START + 4 * HOUR);
    const rows = await planned(base);
    expect(rows.filter((row) => row.includes("acme"))).toEqual([
      "chat_tokens acme 0.4 0 accepted",
      "chat_tokens acme 0.4 0 accepted",
      "chat_tokens acme 0.4 1 pending",
    ]);
    expect(rows.filter((row) => row.includes("globex"))).toEqual([
      "chat_tokens globex 0.7 0 accepted",
      "chat_tokens globex 0.7 1 pending",
      "chat_tokens globex 0.7 1 pending",
    ]);
  });

  it("are none of a meter that is not reported: its usage is closed all the same", async () => {
    const base = world({ catalog: catalogOf(tokens, { ...calls, report: false }) });
    await base.take(chat("5"), chat("5", { time: START + HOUR }));
    base.clock.set(START + 3 * HOUR);
    const rows = await planned(base);
    expect(rows.filter((row) => row.startsWith("calls"))).toEqual(["calls acme none", "calls acme none"]);
    expect(rows.filter((row) => row.startsWith("chat"))).toEqual([
      "chat_tokens acme 5 5 pending",
      "chat_tokens acme 5 5 pending",
    ]);
    const open = await closingOf(base, customersOf(["acme"]));
    expect(await close(open)).toMatchObject({ closed: 2 });
    expect(await dirty(base)).toEqual([]);
    expect((await base.store.skippedTotals()).map(({ meter, raw }) => [meter, formatDecimal(raw)])).toEqual([
      ["calls", "2"],
    ]);
  });
});

describe("putting rows into the outbox", () => {
  it("binds the store to the account and the meter's mode with the first row that is addressed, not before", async () => {
    const base = await ended("acme");
    const held = await closingOf(base, recordingReporter());
    const { rows: heldRows } = await plannedRows(held.closing, await dirty(base));
    await enqueueRows(held.closing, held.modes, heldRows);
    expect([await base.store.getNote(ACCOUNT), await base.store.getNote(MODES)]).toEqual([null, null]);
    await base.take(chat("1", { company: "globex", time: START + MINUTE }));
    const open = await closingOf(base, customersOf(["globex"]));
    const { rows } = await plannedRows(open.closing, await dirty(base));
    expect(await enqueueRows(open.closing, open.modes, rows)).toEqual({ closed: 1, held: [] });
    expect(await base.store.getNote(ACCOUNT)).toBe("acct_recording/test");
    expect(await base.store.getNote(MODES)).toBe('{"chat_tokens":"none"}');
  });

  it("remembers no mode of a meter that is not there any more", async () => {
    const base = await ended("acme");
    const reporter = customersOf(["acme"]);
    const { closing, modes } = await closingOf(base, reporter);
    const { rows } = await plannedRows(closing, await dirty(base));
    reporter.setMeter("chat_tokens", { kind: "missing", reason: "none is called so" });
    expect(await enqueueRows(closing, modes, rows)).toMatchObject({ closed: 1 });
    expect(await base.store.getNote(MODES)).toBeNull();
  });

  it("writes nothing where there is no row", async () => {
    const base = await ended();
    const refusing: Store = { ...base.store, enqueue: () => Promise.reject(new Error("written")) };
    const { closing, modes } = await closingOf({ ...base, store: refusing }, recordingReporter());
    expect(await enqueueRows(closing, modes, [])).toEqual({ closed: 0, held: [] });
  });
});
