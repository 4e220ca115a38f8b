import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { canonicalEvent, checkIdentifier, isSameContent } from "../../src/core/event-rules.ts";
import { chatEvent } from "./match-fixtures.ts";

describe("identifiers", () => {
  test("NUL and lone surrogates are refused (D06)", () => {
    for (const json of [String.raw`"a\u0000b"`, String.raw`"\ud800"`]) {
      const id: string = JSON.parse(json);
      expect(checkIdentifier(id)).toBe("bad_identifier");
    }
  });

  test.each(["", "\t", "a\nb", "a\u007f", "\u0085", "\udc00a", "x".repeat(257)])("%j is refused", (id) => {
    expect(checkIdentifier(id)).toBe("bad_identifier");
  });

  test.each(["A", "a", "a ", "x".repeat(256), "💧", "Ærø", "a:b", "__proto__", " "])("%j is accepted", (id) => {
    expect(checkIdentifier(id)).toBeNull();
  });

  test("case and trailing blanks make other identities (D05)", () => {
    const texts = new Set(["A", "a", "a "].map((id) => canonicalEvent(chatEvent({ id, company: id }))));
    expect(texts.size).toBe(3);
  });

  test("what is accepted survives the way through UTF-8", () => {
    const ids = fc.string({ unit: "binary", maxLength: 20 }).filter((id) => checkIdentifier(id) === null);
    const property = fc.property(ids, (id) => Buffer.from(id, "utf8").toString("utf8") === id);
    expect(fc.check(property).failed).toBe(false);
  });
});

describe("content", () => {
  test("the order of keys and the time of recording do not matter", () => {
    const event = chatEvent({ metadata: { a: 1, b: { c: 2, d: [{ e: 1, f: 2 }] } } });
    const shuffled = { ...chatEvent({ metadata: { b: { d: [{ f: 2, e: 1 }], c: 2 }, a: 1 } }), recordedAt: 5 };
    expect(canonicalEvent(shuffled)).toBe(canonicalEvent(event));
  });

  test("keys stand in code unit order at every depth, lists in their own", () => {
    const event = { source: "s", id: "1", type: "t", time: 1, company: "c", user: null };
    expect(canonicalEvent({ ...event, recordedAt: 5, metadata: { b: [{ z: 1, Z: 2 }, "a"], a: null } })).toBe(
      '{"company":"c","id":"1","metadata":{"a":null,"b":[{"Z":2,"z":1},"a"]},"source":"s","time":1,"type":"t","user":null}',
    );
  });

  test("a time that nobody stated does not make other content; a stated one does", () => {
    const event = chatEvent({ id: "1", time: 1 });
    expect(isSameContent(event, { ...event, time: 2 })).toBe(true);
    expect(isSameContent(event, { ...event, time: 2, company: "other" })).toBe(false);
    expect(isSameContent({ ...event, recordedAt: 5 }, { ...event, time: 2, recordedAt: 6 })).toBe(false);
    expect(isSameContent({ ...event, recordedAt: 5 }, { ...event, recordedAt: 6 })).toBe(true);
    expect(isSameContent(event, { ...event, time: 2, recordedAt: 6 })).toBe(false);
    expect(isSameContent({ ...event, time: 2, recordedAt: 6 }, event)).toBe(false);
  });

  test("who pays for an event with a subject was found out here, and is no content; what was sent is", () => {
    const sent = { ...chatEvent({ id: "1", company: "ann" }), subject: "ann", data: { n: 1 } };
    expect(isSameContent(sent, { ...sent, company: "acme" })).toBe(true);
    expect(isSameContent(sent, { ...sent, company: null })).toBe(true);
    const corrected = { ...sent, corrects: { source: "app", id: "wrong" } };
    expect(isSameContent(corrected, { ...corrected, company: "acme" })).toBe(false);
    expect(isSameContent(sent, { ...sent, subject: "bob" })).toBe(false);
    expect(isSameContent(sent, { ...sent, data: { n: 2 } })).toBe(false);
    expect(isSameContent(sent, { ...sent, attributes: { traceid: "t" } })).toBe(false);
    expect(isSameContent(sent, chatEvent({ id: "1", company: "ann" }))).toBe(false);
  });

  test("other content differs (D03), and key parts are never glued (D01)", () => {
    const [first, second] = ["5", "500"].map((tokens) => canonicalEvent(chatEvent({ metadata: { tokens } })));
    expect(first).not.toBe(second);
    expect(canonicalEvent(chatEvent({ source: "a", id: "b:c" }))).not.toBe(
      canonicalEvent(chatEvent({ source: "a:b", id: "c" })),
    );
  });

  test("is JSON that gives the same event back, own __proto__ keys included", () => {
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        const metadata = JSON.parse(JSON.stringify(value));
        const event = chatEvent({ metadata });
        expect(JSON.parse(canonicalEvent(event))).toEqual(JSON.parse(JSON.stringify(event)));
      }),
    );
  });
});
