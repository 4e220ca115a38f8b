import { createHash } from "node:crypto";

import { describe, expect, it } from "vitest";

import { identifierText } from "../../../src/core/usage-record.ts";
import {
  adjustIdentifier,
  recordIdentifier,
  type IdentifiedReport,
} from "../../../src/engine/outbox/record-identifier.ts";
import type { Drift } from "../../../src/engine/ports.ts";
import { decimal, HOUR, START } from "../world.ts";

const report: IdentifiedReport = {
  store: "db1",
  account: "acct_1/test",
  meter: "tokens",
  reportAs: "chat_tokens",
  company: "acme",
  customer: "cus_1",
  windowStart: START,
  windowEnd: START + HOUR,
  sequence: 0,
  value: decimal("5"),
};

const drift: Drift = {
  customer: "cus_1",
  reportAs: "chat_tokens",
  from: START,
  to: START + HOUR,
  ours: decimal("5"),
  theirs: decimal("7.5"),
  verdict: "surplus",
  rowIds: [],
  foundAt: START + 2 * HOUR,
};

/** The hash as one great number, written to the base 32: another way than byte by byte. */
function expected(text: string): string {
  const hash = BigInt(`0x${createHash("sha256").update(text).digest("hex")}`);
  // 256 bits and 4 zeros are 52 digits of 5 bits.
  const digits = (hash << 4n).toString(32).padStart(52, "0");
  return `mb1_${digits.replace(/./g, (digit) => "abcdefghijklmnopqrstuvwxyz234567".charAt(Number.parseInt(digit, 32)))}`;
}

describe("an identifier", () => {
  it("is the hash of what is reported in base32, on every machine and in every release", () => {
    expect(recordIdentifier(report)).toBe(expected(identifierText(report)));
    // A release that made other ones would send what is on its way a second time.
    expect(recordIdentifier(report)).toBe("mb1_3zmowabe54gqiam225c5gtcypuldpdvzu6qkiefnk7twobbawy2a");
    expect(adjustIdentifier({ store: "db1", account: "acct_1/test", drift })).toBe(
      "mb1_mk3hisl4rpja7wivztbcozcdkadvcqnbwmc7jzi6s5ymef6shhva",
    );
  });

  it("is written rightly whatever the hash", () => {
    for (let sequence = 0; sequence < 200; sequence++) {
      const one = { ...report, sequence };
      expect(recordIdentifier(one)).toBe(expected(identifierText(one)));
    }
  });
});

describe("the identifier of a surplus's correction", () => {
  const own = { store: "db1", account: "acct_1/test", drift };

  it("is the same for the same surplus, whatever else is known of it", () => {
    expect(adjustIdentifier({ ...own, drift: { ...drift, verdict: "inexact", rowIds: [7] } })).toBe(
      adjustIdentifier(own),
    );
  });

  it.each<[string, Partial<typeof own>]>([
    ["another database", { store: "db2" }],
    ["another account", { account: "acct_1/live" }],
    ["another customer", { drift: { ...drift, customer: "cus_2" } }],
    ["another meter", { drift: { ...drift, reportAs: "calls" } }],
    ["another beginning", { drift: { ...drift, from: START - HOUR } }],
    ["another end", { drift: { ...drift, to: START + 2 * HOUR } }],
    ["another figure of ours", { drift: { ...drift, ours: decimal("4") } }],
    ["another figure of theirs", { drift: { ...drift, theirs: decimal("8") } }],
    ["figures the other way round", { drift: { ...drift, ours: drift.theirs, theirs: drift.ours } }],
    ["another finding", { drift: { ...drift, foundAt: START + 3 * HOUR } }],
  ])("is another one for %s", (_what, change) => {
    expect(adjustIdentifier({ ...own, ...change })).not.toBe(adjustIdentifier(own));
  });
});
