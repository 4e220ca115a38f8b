import { createdFilter } from "../created-filter.ts";
import { changedMetadata } from "../metadata.ts";
import { listPage, PAGE_PARAMETERS } from "../pages.ts";
import {
  isExpanded,
  onlyParameters,
  optionalBoolean,
  optionalMap,
  optionalText,
  requiredText,
  textList,
  unsettableText,
} from "../parameters.ts";
import type { Call, Route } from "../route.ts";
import { nextId, nowSeconds, type LocalState } from "../state.ts";
import { refuseMissing } from "../stripe-refusal.ts";
import { readRecurring, readScheme, readTransform } from "./price-form.ts";
import { priceObject } from "./price-object.ts";
import { addProduct } from "./products.ts";
import type { PriceRecord, ProductRecord } from "./records.ts";

const PATH = "/v1/prices";
const PARAMETERS =
  "currency product product_data recurring billing_scheme unit_amount unit_amount_decimal tiers tiers_mode transform_quantity nickname metadata active".split(
    " ",
  );
const NOT_KEPT = ["currency_options", "custom_unit_amount", "tax_behavior", "lookup_key", "transfer_lookup_key"];

export const priceRoutes: readonly Route[] = [
  {
    operation: "price.create",
    method: "POST",
    path: PATH,
    right: "rak_plan_write",
    behaviours: ["price.create", "price.tiers_expanded"],
    answer: createPrice,
  },
  {
    operation: "price.list",
    method: "GET",
    path: PATH,
    right: "rak_plan_read",
    behaviours: ["price.list", "page.cursor"],
    answer: ({ state, form }) => {
      const filters = ["active", "created", "currency", "lookup_keys", "product", "recurring", "type"];
      onlyParameters(form, [...PAGE_PARAMETERS, ...filters]);
      const fits = priceFilter(form);
      const wanted = createdFilter(form);
      const entries = [...state.prices.values()].toReversed().map((price) => ({
        id: price.id,
        object: fits(price) && wanted(price.created) ? priceObject(state, price, isExpanded(form, "tiers")) : null,
      }));
      return listPage(entries, form, PATH, "price");
    },
  },
  {
    operation: "price.retrieve",
    method: "GET",
    path: `${PATH}/:id`,
    right: "rak_plan_read",
    behaviours: ["price.retrieve"],
    answer: (call) => {
      onlyParameters(call.form, []);
      const price = knownPrice(call.state, call.path["id"] ?? "");
      return priceObject(call.state, price, isExpanded(call.form, "tiers"));
    },
  },
  {
    operation: "price.update",
    method: "POST",
    path: `${PATH}/:id`,
    right: "rak_plan_write",
    behaviours: ["price.update"],
    answer: ({ state, form, path }) => {
      onlyParameters(form, ["active", "metadata", "nickname"], NOT_KEPT);
      const price = knownPrice(state, path["id"] ?? "");
      const nickname = unsettableText(form, "nickname", 5000);
      price.metadata = changedMetadata(price.metadata, form);
      price.isActive = optionalBoolean(form, "active") ?? price.isActive;
      price.nickname = nickname === undefined ? price.nickname : nickname;
      return priceObject(state, price, isExpanded(form, "tiers"));
    },
  },
];

function createPrice({ state, form }: Call): object {
  onlyParameters(form, PARAMETERS, NOT_KEPT);
  const currency = requiredText(form, "currency").toLowerCase();
  const scheme = readScheme(form);
  const recurring = readRecurring(state, form);
  const transform = readTransform(form, scheme);
  const price = addPrice(state, { ...recurring, currency, scheme, transform, product: priceProduct(state, form).id });
  price.nickname = optionalText(form, "nickname", { lengthMax: 5000 });
  price.metadata = changedMetadata({}, form);
  price.isActive = optionalBoolean(form, "active") ?? true;
  return priceObject(state, price, isExpanded(form, "tiers"));
}

/** Adds a price as a POST would, without one. */
export function addPrice(
  state: LocalState,
  facts: Pick<PriceRecord, "product" | "currency" | "scheme" | "interval" | "intervalCount" | "meter" | "transform">,
): PriceRecord {
  const price: PriceRecord = {
    id: nextId(state, "price"),
    created: nowSeconds(state),
    ...facts,
    nickname: null,
    isActive: true,
    metadata: {},
  };
  state.prices.set(price.id, price);
  return price;
}

/** The price of an id, or the refusal of a missing one. */
export function knownPrice(state: LocalState, id: string, param = "id"): PriceRecord {
  return state.prices.get(id) ?? refuseMissing("price.not_found", "price", id, param);
}

function priceProduct(state: LocalState, form: Call["form"]): ProductRecord {
  const made = optionalMap(form, "product_data");
  if (made !== null) {
    onlyParameters(made, ["name"], ["active", "id", "metadata", "statement_descriptor", "tax_code", "unit_label"]);
    return addProduct(state, requiredText(made, "name", { label: "product_data[name]" }));
  }
  const id = requiredText(form, "product");
  return state.products.get(id) ?? refuseMissing("product.not_found", "product", id, "product");
}

function priceFilter(form: Call["form"]): (price: PriceRecord) => boolean {
  const active = optionalBoolean(form, "active");
  const product = optionalText(form, "product");
  const currency = optionalText(form, "currency");
  const recurring = optionalMap(form, "recurring") ?? {};
  onlyParameters(recurring, ["interval", "meter", "usage_type"]);
  const meter = optionalText(recurring, "meter");
  const interval = optionalText(recurring, "interval");
  const isPossible =
    textList(form, "lookup_keys").length === 0 &&
    optionalText(form, "type") !== "one_time" &&
    optionalText(recurring, "usage_type") !== "licensed";
  return (price) =>
    isPossible &&
    (active === null || price.isActive === active) &&
    (product === null || price.product === product) &&
    (currency === null || price.currency === currency) &&
    (meter === null || price.meter === meter) &&
    (interval === null || price.interval === interval);
}
