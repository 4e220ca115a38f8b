import { describe, expect, it } from "vitest";

import { customerDraft, customerSent, shownCustomer } from "../../../src/server/openmeter/customer-wire.ts";
import { currencies } from "../../../src/server/openmeter/currencies.ts";
import { subjectDraft, subjectSent } from "../../../src/server/openmeter/subject-wire.ts";
import { v3CustomerCreate, v3CustomerDraft, v3ShownCustomer } from "../../../src/server/openmeter/v3-customer-wire.ts";
import { customer, T0 } from "./samples.ts";

const draftOf = (body: object) => customerDraft(customerSent.parse(body));

describe("a customer over v1", () => {
  it("may have several subjects and no key", () => {
    expect(draftOf({ name: "Acme", usageAttribution: { subjectKeys: ["a", "b"] } })).toEqual({
      name: "Acme",
      key: null,
      description: null,
      currency: null,
      primaryEmail: null,
      metadata: {},
      subjects: ["a", "b"],
      extra: {},
    });
  });

  it("needs a key or a subject", () => {
    expect(() => draftOf({ name: "Acme" })).toThrow(/key/);
    expect(() => draftOf({ name: "Acme", usageAttribution: { subjectKeys: [] } })).toThrow(/key/);
    expect(draftOf({ name: "Acme", key: "acme" })).toMatchObject({ key: "acme", subjects: [] });
  });

  it("keeps its address as it was sent", () => {
    const billingAddress = { city: "Budapest", postalCode: "1051", state: null };
    const draft = draftOf({ name: "Acme", key: "k", billingAddress });
    expect(draft.extra).toEqual({ billingAddress: { city: "Budapest", postalCode: "1051" } });
    expect(shownCustomer(customer({ extra: draft.extra ?? {} }), T0).billingAddress).toEqual({
      city: "Budapest",
      postalCode: "1051",
    });
  });

  it("is shown with the subjects that it owns now, and a deleted one with those it had", () => {
    const subjects = [
      { subject: "always", from: null, to: null },
      { subject: "gone", from: null, to: T0 },
      { subject: "later", from: T0 + 10, to: null },
    ];
    expect(shownCustomer(customer({ subjects }), T0).usageAttribution.subjectKeys).toEqual(["always"]);
    expect(shownCustomer(customer({ subjects }), T0 + 10).usageAttribution.subjectKeys).toEqual(["always", "later"]);
    const deleted = customer({ deletedAt: T0, subjects: [{ subject: "gone", from: null, to: T0 }] });
    expect(shownCustomer(deleted, T0 + 99)).toMatchObject({
      usageAttribution: { subjectKeys: ["gone"] },
      deletedAt: "2025-01-01T00:00:00.000Z",
    });
  });

  it("shows nothing that it does not have", () => {
    expect(Object.keys(shownCustomer(customer({ key: null }), T0)).toSorted()).toEqual([
      "createdAt",
      "id",
      "metadata",
      "name",
      "updatedAt",
      "usageAttribution",
    ]);
  });
});

describe("a customer over v3", () => {
  const sent = {
    key: "acme",
    name: "Acme",
    labels: { tier: "gold" },
    usage_attribution: { subject_keys: ["s"] },
    primary_email: "a@example.com",
    currency: "EUR",
    billing_address: { postal_code: "1051", line1: "Main" },
  };

  it("is the same customer in other words, there and back", () => {
    const body = v3CustomerCreate.parse(sent);
    const draft = v3CustomerDraft(body, body.key);
    expect(draft).toMatchObject({ subjects: ["s"], metadata: { tier: "gold" }, primaryEmail: "a@example.com" });
    expect(draft.extra).toEqual({ billingAddress: { postalCode: "1051", line1: "Main" } });
    const made = customer({
      metadata: { tier: "gold" },
      primaryEmail: "a@example.com",
      currency: "EUR",
      extra: draft.extra ?? {},
      subjects: [{ subject: "s", from: null, to: null }],
    });
    expect(v3ShownCustomer(made, T0)).toMatchObject(sent);
    expect(v3ShownCustomer(made, T0)).not.toHaveProperty("createdAt");
  });
});

describe("a subject", () => {
  it("keeps what an upsert leaves out, and can lose it", () => {
    expect(subjectDraft(subjectSent.parse({ key: "s" }))).toEqual({ key: "s" });
    expect(subjectDraft(subjectSent.parse({ key: "s", displayName: null, metadata: null }))).toEqual({
      key: "s",
      displayName: null,
      metadata: {},
    });
  });

  it("with whom to bill is refused: it would be lost", () => {
    expect(subjectSent.safeParse({ key: "s", stripeCustomerId: "cus_1" }).success).toBe(false);
    expect(subjectSent.safeParse({ key: "s", stripeCustomerId: null }).success).toBe(true);
    expect(subjectSent.safeParse({ key: "s", currentPeriodStart: "2025-01-01T00:00:00Z" }).success).toBe(false);
  });
});

it("currencies have their names, symbols and digits", () => {
  const byCode = new Map(currencies().map((currency) => [currency.code, currency]));
  expect(byCode.get("USD")).toEqual({ code: "USD", name: "US Dollar", symbol: "$", subunits: 2 });
  expect(byCode.get("JPY")?.subunits).toBe(0);
  expect(byCode.size).toBeGreaterThan(100);
});
