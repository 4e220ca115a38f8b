import type { ConfigShape, MeterInput, PlanInput } from "./schema.ts";

type PriceInput = PlanInput["prices"][number];

/** A price whose `meter` is one of the configuration's own meters; it is not what these are inferred from. */
type PriceOf<Price extends PriceInput, MeterKey extends string> = Price extends { meter: string }
  ? Omit<Price, "meter"> & { meter: NoInfer<MeterKey> }
  : Omit<Price, "meter"> & { meter?: NoInfer<MeterKey> | undefined };

type PlanOf<MeterKey extends string> = Omit<PlanInput, "prices"> & { prices: PriceOf<PriceInput, MeterKey>[] };

/** A configuration as an object: the same keys as in YAML; `meters` decides what `prices[].meter` may name. */
export type ConfigInput<MeterKey extends string = string> = Omit<ConfigShape, "meters" | "plans"> & {
  meters: Record<MeterKey, MeterInput>;
  plans?: Record<string, PlanOf<MeterKey>> | undefined;
};

/** Gives a configuration object back unchanged; an editor completes and checks it. It is read when meter() starts. */
export function defineConfig<MeterKey extends string>(config: ConfigInput<MeterKey>): ConfigInput<MeterKey> {
  return config;
}
