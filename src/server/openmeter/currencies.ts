/** A currency as OpenMeter lists it. */
export interface Currency {
  readonly code: string;
  readonly name: string;
  readonly symbol: string;
  /** How many digits its amounts have behind the point. */
  readonly subunits: number;
}

let known: readonly Currency[] | null = null;

/** Every currency of ISO 4217 that this Node knows, by its code. */
export function currencies(): readonly Currency[] {
  // A format for each is dear, and no release of Node changes them while it runs.
  known ??= Intl.supportedValuesOf("currency").map(currencyOf);
  return known;
}

function currencyOf(code: string): Currency {
  const name = new Intl.DisplayNames("en", { type: "currency" }).of(code) ?? code;
  const format = new Intl.NumberFormat("en", { style: "currency", currency: code, currencyDisplay: "narrowSymbol" });
  const symbol = format.formatToParts(0).find(({ type }) => type === "currency")?.value ?? code;
  return { code, name, symbol, subunits: format.resolvedOptions().maximumFractionDigits ?? 2 };
}
