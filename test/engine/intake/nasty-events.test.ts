import { expect, it } from "vitest";

import { formatDecimal } from "../../../src/core/decimal.ts";
import { acceptEvents } from "../../../src/engine/intake/accept.ts";
import type { Store } from "../../../src/engine/ports.ts";
import { onBothStores } from "../both-stores.ts";
import { START } from "../world.ts";
import {
  batchCall,
  cloudEvent,
  owners,
  resultsOf,
  sentCatalog,
  sentTokens,
  statusesOf,
  textCall,
} from "./intake-world.ts";

const catalog = sentCatalog({ ...sentTokens, groupBy: {}, allowNegative: true });

async function send(store: Store, texts: readonly string[]) {
  const [reply] = await acceptEvents(store, catalog, owners({}), [textCall(`[${texts.join(",")}]`)], START);
  return resultsOf(reply);
}

/** An event whose value stands in the body as it is written here. */
function withValue(id: string, literal: string): string {
  return JSON.stringify(cloudEvent({ id, data: { tokens: 0 } })).replace('"tokens":0', `"tokens":${literal}`);
}

async function total(store: Store): Promise<string> {
  const [bucket, ...others] = await store.buckets({});
  if (others.length > 0) throw new Error("more than one bucket");
  return bucket === undefined ? "none" : formatDecimal(bucket.state.value ?? 0n);
}

onBothStores("nasty inputs over HTTP", (make) => {
  it.each([
    ["N01, tenths", ["0.1", "0.2"], "0.3"],
    ["N01, tenths as texts", ['"0.1"', '"0.2"'], "0.3"],
    ["N05, 2^53+1 as a number", ["9007199254740993"], "9007199254740993"],
    ["N05, 2^53+1 as a text", ['"9007199254740993"'], "9007199254740993"],
    ["N14, exponents", ["1e3", "1.5E2", "1e-12"], "1150.000000000001"],
    ["N15, the twelfth fraction digit", ["0.123456789012"], "0.123456789012"],
    [
      "N17, the top of the range twice",
      ["99999999999999999999999999.999999999999", '"99999999999999999999999999.999999999999"'],
      "199999999999999999999999999.999999999998",
    ],
    ["N18, long decimals survive", ["4.35", "434.999999999999"], "439.349999999999"],
    ["T02, texts that look like numbers", ['"9007199254740993.5"'], "9007199254740993.5"],
  ])("count exactly: %s", async (_, literals, expected) => {
    const store = await make();
    const results = await send(
      store,
      literals.map((literal, at) => withValue(`e${at}`, literal)),
    );
    expect(results.map((result) => result.status === "stored" && result.held)).toEqual(literals.map(() => []));
    expect(await total(store)).toBe(expected);
  });

  it.each([
    ["N08, trailing letters", '"12abc"', "not_a_number"],
    ["N09, blanks", '" 42 "', "not_a_number"],
    ["N13, hexadecimal", '"0x10"', "not_a_number"],
    ["N13, a plus sign", '"+5"', "not_a_number"],
    ["N13, leading zeros", '"007"', "not_a_number"],
    ["N13, other digits", '"١e3"', "not_a_number"],
    ["N14, too small", "1e-13", "too_many_fraction_digits"],
    ["N14, too large", "1e400", "out_of_range"],
    ["N14, far too large", "1e999999999", "out_of_range"],
    ["N15, the thirteenth fraction digit", "0.1234567890123", "too_many_fraction_digits"],
    ["a truth value", "true", "not_a_number"],
    ["null", "null", "not_a_number"],
    ["an object", "{}", "not_a_number"],
  ])("are kept whole and held, never counted as zero: %s", async (_, literal, reason) => {
    const store = await make();
    expect(await send(store, [withValue("e", literal)])).toMatchObject([{ status: "stored", held: [{ reason }] }]);
    expect(await total(store)).toBe("none");
    expect(await store.held({ order: "oldest", limit: 9 })).toMatchObject([{ id: "e", reason }]);
  });

  it("are numbers only by the grammar of JSON: N13 outside of texts is no JSON at all", async () => {
    const store = await make();
    for (const literal of ["0x10", "+5", ".5", "5.", "007", "NaN", "Infinity", "--1"]) {
      const [reply] = await acceptEvents(store, catalog, owners({}), [textCall(`[${withValue("e", literal)}]`)], START);
      expect(reply).toMatchObject({ kind: "refused", why: "not_json" });
    }
    expect(await store.counts()).toMatchObject({ events: 0 });
  });

  it("keep identities apart that are glued or folded elsewhere (D01, D05)", async () => {
    const store = await make();
    const names = [
      { source: "a", id: "b:c" },
      { source: "a:b", id: "c" },
      { source: "a", id: "A" },
      { source: "a", id: "a" },
      { source: "a", id: "a " },
      { source: "a", id: "__proto__" },
    ];
    const [reply] = await acceptEvents(store, catalog, owners({}), [batchCall(names.map(cloudEvent))], START);
    expect(statusesOf(reply)).toEqual(names.map(() => "stored"));
    expect(await total(store)).toBe("30");
  });

  it("refuse identifiers that a store would mangle (D06)", async () => {
    const store = await make();
    const results = await send(store, [
      JSON.stringify(cloudEvent({ id: "a\u0000b" })),
      JSON.stringify(cloudEvent({ id: "\ud800" })),
      JSON.stringify(cloudEvent({ subject: "\udc00" })),
    ]);
    expect(results.map((result) => result.status === "rejected" && result.problems[0]?.pointer)).toEqual([
      "/id",
      "/id",
      "/subject",
    ]);
  });

  it("keep the first of two contents, and say so (D03)", async () => {
    const store = await make();
    const results = await send(store, [withValue("1", "5"), withValue("1", "500")]);
    expect(results.map(({ status }) => status)).toEqual(["stored", "conflict"]);
    expect(await total(store)).toBe("5");
    expect(await store.counts()).toMatchObject({ conflicts: 1 });
  });

  it("keep the event of a leap second, a second earlier (W06)", async () => {
    const store = await make();
    await send(store, [JSON.stringify(cloudEvent({ time: "2016-12-31T23:59:60Z" }))]);
    expect((await store.findEvents("e1"))[0]?.event.time).toBe(Date.UTC(2016, 11, 31, 23, 59, 59));
  });
});
