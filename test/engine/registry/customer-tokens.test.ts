import { describe, expect, it } from "vitest";

import { limits } from "../../../src/engine/limits.ts";
import { customerTokens } from "../../../src/engine/registry/customer-tokens.ts";
import { START } from "../world.ts";

const tokens = customerTokens(Buffer.alloc(32, 7));
const grant = { customer: "acme", meters: ["tokens_total"], expiresAt: START + 60_000 };

describe("a customer's token", () => {
  it("says what it was issued for, until it expires", () => {
    const text = tokens.issue(grant);
    expect(tokens.read(text, START)).toEqual(grant);
    expect(tokens.read(text, START + 59_999)).toEqual(grant);
    expect(tokens.read(text, START + 60_000)).toBeNull();
    expect(tokens.read(tokens.issue({ ...grant, meters: null }), START)).toEqual({ ...grant, meters: null });
  });

  it("is refused with any character changed, cut or added", () => {
    const text = tokens.issue(grant);
    for (let at = 0; at < text.length; at++) {
      for (const other of ["A", "B", "."].filter((character) => character !== text[at]))
        expect(tokens.read(text.slice(0, at) + other + text.slice(at + 1), START)).toBeNull();
      expect(tokens.read(text.slice(0, at), START)).toBeNull();
    }
    for (const tail of ["A", "=", ".", ".x", " "]) expect(tokens.read(text + tail, START)).toBeNull();
  });

  it("is refused under another secret", () => {
    expect(customerTokens(Buffer.alloc(32, 8)).read(tokens.issue(grant), START)).toBeNull();
  });

  it("is not good for longer than any may be, whoever signed it", () => {
    const endless = tokens.issue({ ...grant, expiresAt: START + limits.customerTokenMaxMs + 1 });
    expect(tokens.read(endless, START)).toBeNull();
  });

  it.each(["", "mbt_", "mbt_.", "mbt_x.y", `mbt_${"a".repeat(100_000)}`])("is not %j", (text) => {
    expect(tokens.read(text.slice(0, 70_000), START)).toBeNull();
  });

  it("needs a secret of 32 bytes", () => {
    expect(() => customerTokens(Buffer.alloc(31))).toThrow(RangeError);
  });
});
