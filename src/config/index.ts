/**
 * meterbook/config: configurations as objects and as text, read without touching disk or environment.
 *
 * @example
 * import { defineConfig } from "meterbook/config";
 * export default defineConfig({ version: 1, meters: { chats: { aggregate: "count", match: { "request.route": "/chat" } } } });
 */
export { defineConfig, type ConfigInput } from "./define-config.ts";
export {
  readConfig,
  readConfigObject,
  type ConfigReading,
  type ConfigSurroundings,
  type ConfigText,
} from "./read-config.ts";
export { formatProblem, formatProblems, type Problem } from "./problem.ts";
export { configJsonSchema, type MeterInput, type PlanInput } from "./schema.ts";
export type { ConditionInput, MatchInput } from "./match-schema.ts";
export type { Durability, PlanSettings, PriceSettings, ServerSettings, Settings, StripeSettings } from "./settings.ts";
