import { isFault, parseDecimal, type Decimal } from "../core/decimal.ts";
import { AMOUNT_EXPECTED } from "./field-schema.ts";
import { checkName, KEY_RULE } from "./name-rules.ts";
import { CURRENCY_PATTERN, PERIODS, PRICE_MODELS } from "./plan-schema.ts";
import type { Place } from "./place.ts";
import type { PlanSettings, PriceSettings } from "./settings.ts";
import { closestTo } from "./suggestion.ts";

/** All plans, in the order of the file; a later release rates them. */
export function checkPlans(root: Place): readonly PlanSettings[] {
  const meterKeys =
    root
      .child("meters")
      ?.children()
      .map((meter) => meter.key) ?? null;
  return (
    root
      .child("plans")
      ?.children()
      .map((plan) => checkPlan(plan, meterKeys)) ?? []
  );
}

const currencyShape = new RegExp(`^${CURRENCY_PATTERN}$`);

function checkPlan(plan: Place, meterKeys: readonly string[] | null): PlanSettings {
  checkName(plan, "a plan's key", KEY_RULE);
  const currency = plan.child("currency");
  const code = currency?.text() ?? "";
  if (code !== "" && !currencyShape.test(code)) {
    const lower = code.trim().toLowerCase();
    currency?.error('expected a three-letter currency code such as "usd"', {
      suggestion: currencyShape.test(lower) ? lower : undefined,
      showReceived: true,
    });
  }
  return {
    key: plan.key,
    name: plan.child("name")?.text() ?? plan.key,
    currency: code,
    every: PERIODS.find((period) => period === plan.child("every")?.text()) ?? "month",
    prices:
      plan
        .child("prices")
        ?.children()
        .map((price) => checkPrice(price, meterKeys)) ?? [],
  };
}

/** Without any meters at all the prices are not the mistake: `meterKeys` is null then. */
function checkPrice(price: Place, meterKeys: readonly string[] | null): PriceSettings {
  const meter = price.child("meter");
  const key = meter?.text() ?? null;
  if (key !== null && key !== "" && meterKeys?.includes(key) === false) {
    meter?.error(`no meter ${meter.shown()}.`, { suggestion: closestTo(key, meterKeys) });
  }
  const tiers = price.child("tiers")?.children() ?? [];
  checkTiers(tiers);
  const packageSize = price.child("packageSize");
  if (checkAmount(packageSize) === 0n) packageSize?.error("a package holds more than 0", { showReceived: true });
  for (const name of ["unitAmount", "flatAmount"]) checkAmount(price.child(name));
  return {
    meter: key,
    model: PRICE_MODELS.find((model) => model === price.child("model")?.text()) ?? "perUnit",
    ...amountsOf(price),
    packageSize: packageSize?.text() ?? null,
    tiers: tiers.map((tier) => ({ upTo: tier.child("upTo")?.text() ?? null, ...amountsOf(tier) })),
  };
}

function amountsOf(place: Place): { readonly unitAmount: string | null; readonly flatAmount: string | null } {
  return {
    unitAmount: place.child("unitAmount")?.text() ?? null,
    flatAmount: place.child("flatAmount")?.text() ?? null,
  };
}

/** Tiers ascend, only the last is open, and each costs something. */
function checkTiers(tiers: readonly Place[]): void {
  let before: Decimal | null = null;
  for (const [index, tier] of tiers.entries()) {
    const upTo = tier.child("upTo");
    const isLast = index === tiers.length - 1;
    const quantity = checkAmount(upTo);
    if (tier.node.kind !== "map") continue;
    if (upTo === null && !isLast) tier.error("only the last tier may lack upTo");
    if (upTo !== null && isLast)
      upTo.error("the last tier has no upTo: it holds everything above the tier before it", { onKey: true });
    if (quantity !== null && before !== null && quantity <= before)
      upTo?.error("tiers must ascend: this upTo is not above the one before", { showReceived: true });
    if (!tier.has("unitAmount") && !tier.has("flatAmount")) tier.error("a tier has a unitAmount, a flatAmount or both");
    for (const name of ["unitAmount", "flatAmount"]) checkAmount(tier.child(name));
    before = quantity ?? before;
  }
}

/** The number of an amount or quantity; null when there is none, or after a report. */
function checkAmount(place: Place | null): Decimal | null {
  const text = place?.text() ?? null;
  if (place === null || text === null) return null;
  const amount = parseDecimal(text);
  if (isFault(amount)) {
    const hint =
      amount === "not_a_number"
        ? ""
        : amount === "too_many_fraction_digits"
          ? " with at most 12 fraction digits"
          : " of at most 26 integer digits";
    const plain = text.replaceAll(/[$€£_\s]/g, "").replace(/,(?=[0-9]{3}\b)/g, "");
    const suggestion = plain !== text && !isFault(parseDecimal(plain)) ? plain : undefined;
    place.error(`expected ${AMOUNT_EXPECTED}${hint}`, { suggestion, showReceived: true });
    return null;
  }
  if (amount < 0n) place.error("an amount cannot be negative", { showReceived: true });
  return amount;
}
