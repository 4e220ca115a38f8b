import { expect, it } from "vitest";

import { formatDecimal } from "../../../src/core/decimal.ts";
import { cancelReport } from "../../../src/engine/corrections/cancel.ts";
import {
  compareLedger,
  ledgerLines,
  type LedgerLine,
  type StatedUsage,
} from "../../../src/engine/corrections/compare.ts";
import { rowLanes } from "../../../src/engine/outbox/outbox-lanes.ts";
import { SHADOW, type NewOutboxRow, type Store } from "../../../src/engine/ports.ts";
import { verify } from "../../../src/engine/books/verify.ts";
import { recordingReporter } from "../../../src/testing/recording-reporter.ts";
import { onBothStores, type MakeStore } from "../both-stores.ts";
import { calls, catalogOf, chat, DAY, decimal, HOUR, MINUTE, START, tokens, world } from "../world.ts";

async function reported(make: MakeStore) {
  const catalog = catalogOf(tokens, { ...calls, reportAs: "api_calls" });
  const own = world({ store: await make(), catalog });
  const reporter = recordingReporter({ customers: { acme: "cus_1", globex: "cus_2" } });
  await own.take(
    chat("5"),
    chat("2", { time: START + HOUR }),
    chat("9", { company: "globex" }),
    chat("4", { company: "initech" }),
  );
  own.clock.advance(3 * HOUR);
  await own.round(reporter);
  return { ...own, reporter };
}

function stated(meter: string, value: string, parts: Partial<StatedUsage> = {}): StatedUsage {
  return {
    line: 2,
    company: "acme",
    customer: null,
    meter,
    from: START,
    to: START + DAY,
    value: decimal(value),
    ...parts,
  };
}

async function compared(store: Store, ...lines: readonly StatedUsage[]) {
  const { lines: found, unstated, isEqual } = await compareLedger(store, lines);
  return {
    isEqual,
    differences: found.map(({ difference }) => formatDecimal(difference)),
    waiting: found.map(({ waiting }) => formatDecimal(waiting)),
    unstated: unstated.map(({ company, value }) => `${company} ${formatDecimal(value)}`),
  };
}

async function ledger(
  store: Store,
  range?: { from: number | null; to: number | null },
): Promise<readonly LedgerLine[]> {
  const lines: LedgerLine[] = [];
  for await (const line of ledgerLines(store, range)) lines.push(line);
  return lines;
}

function byCustomer(customer: string): Partial<StatedUsage> {
  return { company: null, customer };
}

onBothStores("another system's numbers", (make) => {
  it("are compared by company, meter and stated time, to the digit", async () => {
    const { store } = await reported(make);
    const globex = { company: "globex" };
    const initech = { company: "initech" };
    const equal = await compared(
      store,
      stated("chat_tokens", "5", { to: START + HOUR }),
      stated("chat_tokens", "2", { from: START + HOUR }),
      stated("chat_tokens", "9.000", globex),
      stated("chat_tokens", "0", initech),
    );
    expect(equal).toEqual({
      isEqual: true,
      differences: ["0", "0", "0", "0"],
      waiting: ["0", "0", "0", "4"],
      unstated: [],
    });
    const wrong = await compared(store, stated("chat_tokens", "7.000000000001"), stated("chat_tokens", "10", globex));
    expect(wrong).toMatchObject({ isEqual: false, differences: ["-0.000000000001", "-1"] });
  });

  it("may name the biller's customer and the biller's meter", async () => {
    const { store } = await reported(make);
    const lines = [stated("api_calls", "2", byCustomer("cus_1")), stated("calls", "1", byCustomer("cus_2"))];
    expect(await compared(store, ...lines)).toMatchObject({ isEqual: true, unstated: [] });
    expect(await compared(store, stated("calls", "2", byCustomer("acme")), lines[1] ?? stated("", "0"))).toMatchObject({
      isEqual: true,
    });
    const both = { company: "acme", customer: "cus_2" };
    expect((await compared(store, stated("calls", "2", both))).differences).toEqual(["-2"]);
  });

  it("differ also by what they leave out, of their meters and their time", async () => {
    const { store } = await reported(make);
    expect(await compared(store, stated("chat_tokens", "7"))).toMatchObject({ isEqual: false, unstated: ["globex 9"] });
    expect(await compared(store, stated("chat_tokens", "2", { from: START + HOUR }))).toMatchObject({ isEqual: true });
    expect(await compared(store)).toMatchObject({ isEqual: true });
  });

  it("have a line each for what we have: our own ledger is equal to itself, corrections and cancelled reports included", async () => {
    const { store, take, round, reporter, clock } = await reported(make);
    await take(chat("3", { time: START + 10 }));
    await round(reporter);
    const [row] = await store.outbox({ company: "globex", meter: "chat_tokens", limit: 1 });
    const order = { store, report: String(row?.rowId), author: "o", cause: "c", now: clock.now(), dryRun: false };
    await cancelReport(order);
    reporter.addCustomer("initech", "cus_3");
    await round(reporter);
    await round(reporter);
    clock.advance(HOUR);
    await round(reporter);
    const lines = await ledger(store);
    const tokensOf = (company: string) =>
      lines
        .filter((line) => line.meter === "chat_tokens" && line.company === company)
        .map(({ value }) => formatDecimal(value));
    expect(tokensOf("acme")).toEqual(["8", "2"]);
    expect(tokensOf("globex")).toEqual(["9"]);
    expect(tokensOf("initech")).toEqual(["4"]);
    const own = lines.map((line, place): StatedUsage => ({ ...line, line: place + 2 }));
    expect(await compared(store, ...own)).toMatchObject({ isEqual: true, unstated: [] });
    expect(await ledger(store, { from: START + HOUR, to: null })).toHaveLength(2);
    expect(await ledger(store, { from: null, to: START })).toEqual([]);
  });

  it("do not know what only corrects the biller's books, and find carried usage where it was stated", async () => {
    const { store, clock } = await reported(make);
    const [row] = await store.outbox({ company: "acme", meter: "chat_tokens", limit: 1 });
    if (row === undefined) throw new Error("expected a row");
    const { rowId: _rowId, ...facts } = row;
    const adjust: Omit<NewOutboxRow, "sequence"> = {
      ...facts,
      kind: "adjust",
      value: decimal("-100"),
      raw: 0n,
      state: "accepted",
    };
    await store.addRow(adjust, "o", "c", clock.now());
    expect(
      (await ledger(store)).filter(({ company, meter }) => company === "acme" && meter === "chat_tokens"),
    ).toHaveLength(2);
    const late = START + 2 * DAY + 20 * MINUTE;
    const carried: Store = {
      ...store,
      outbox: async (query) => (await store.outbox(query)).map((each) => ({ ...each, timestamp: late })),
    };
    for (const { from, to } of await ledger(carried))
      expect([from, to]).toEqual([START + 2 * DAY, START + 2 * DAY + HOUR]);
  });

  it("include what shadow mode did not send, and verify shows it apart", async () => {
    const { store, take, catalog } = world({ store: await make(), catalog: catalogOf(tokens) });
    await take(chat("5"), chat("2", { company: "globex" }));
    const windows = await store.dirtyWindows({ windowMs: HOUR, before: START + DAY, limit: 9 });
    for (const basis of windows) {
      const { meter, company, windowStart, windowEnd, total: raw } = basis;
      const facts = { meter, reportAs: meter, company, windowStart, windowEnd, raw, value: raw, reported: raw };
      const row: NewOutboxRow = {
        ...facts,
        kind: "usage",
        cancels: null,
        mode: "delta",
        late: null,
        sequence: 0,
        timestamp: windowStart,
        customer: `cus_${company}`,
        identifier: `mb1_${company}`,
        state: "accepted",
        reason: company === "acme" ? SHADOW : null,
      };
      await store.enqueue([{ basis, row }], START);
    }
    expect(
      await compared(store, stated("chat_tokens", "5"), stated("chat_tokens", "2", { company: "globex" })),
    ).toMatchObject({ isEqual: true });
    const verified = await verify(store, catalog);
    expect(verified).toMatchObject({
      ok: true,
      meters: { chat_tokens: { accepted: "7", reported: "7", shadow: "5", sent: "7" } },
    });
    const order = { store, report: "mb1_acme", author: "o", cause: "c", now: START, dryRun: false };
    await expect(cancelReport(order)).rejects.toMatchObject({ code: "METER_CORRECTION_REFUSED" });
  });

  it("are compared with all rows, page by page", async () => {
    const { store, take, round, clock } = await reported(make);
    for (let hour = 0; hour < 5; hour += 1) {
      await take(chat("1", { time: START + hour * HOUR }), chat("1", { time: START + hour * HOUR }));
      clock.advance(HOUR);
      await round(recordingReporter({ customers: { acme: "cus_1", globex: "cus_2" } }));
    }
    for (const pageMax of [1, 2, 3, 7, 1_000]) {
      const rows: number[] = [];
      for await (const lane of rowLanes(store, { windowFrom: START + HOUR }, pageMax))
        for await (const page of lane.pages) rows.push(...page.map(({ rowId }) => rowId));
      const all = await store.outbox({ windowFrom: START + HOUR, limit: 1_000 });
      expect(rows.toSorted((a, b) => a - b)).toEqual(all.map(({ rowId }) => rowId).toSorted((a, b) => a - b));
    }
  });
});
