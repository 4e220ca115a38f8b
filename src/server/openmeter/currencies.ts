/** A currency as OpenMeter lists it. */
export interface Currency {
  readonly code: string;
  readonly name: string;
  readonly symbol: string;
  /** How many digits its amounts have behind the point. */
  readonly subunits: number;
}

/** Every currency of ISO 4217 that this Node knows, by its code. */
export function currencies(): readonly Currency[] {
  const names = new Intl.DisplayNames("en", { type: "currency" });
  return Intl.supportedValuesOf("currency").map((code) => {
    const format = new Intl.NumberFormat("en", { style: "currency", currency: code, currencyDisplay: "narrowSymbol" });
    const symbol = format.formatToParts(0).find(({ type }) => type === "currency")?.value ?? code;
    return {
      code,
      name: names.of(code) ?? code,
      symbol,
      subunits: format.resolvedOptions().maximumFractionDigits ?? 2,
    };
  });
}
