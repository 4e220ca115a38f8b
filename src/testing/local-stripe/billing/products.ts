import { createdFilter } from "../created-filter.ts";
import type { FormTree } from "../form-body.ts";
import { changedMetadata } from "../metadata.ts";
import { listPage, PAGE_PARAMETERS } from "../pages.ts";
import { onlyParameters, optionalBoolean, optionalText, requiredText, unsettableText } from "../parameters.ts";
import type { Call, Route } from "../route.ts";
import { isLive, nextId, nowSeconds, type LocalState } from "../state.ts";
import { refuse, refuseMissing } from "../stripe-refusal.ts";
import type { ProductRecord } from "./records.ts";

const PATH = "/v1/products";
const NOT_KEPT =
  "default_price_data images marketing_features package_dimensions shippable statement_descriptor tax_code tax_details type url default_price".split(
    " ",
  );

export const productRoutes: readonly Route[] = [
  {
    operation: "product.create",
    method: "POST",
    path: PATH,
    right: "rak_product_write",
    behaviours: ["product.create"],
    answer: ({ state, form }) => {
      onlyParameters(form, ["id", "name", "active", "description", "metadata", "unit_label"], NOT_KEPT);
      const product = addProduct(state, requiredText(form, "name", { lengthMax: 5000 }), optionalText(form, "id"));
      change(product, form);
      return productObject(state, product);
    },
  },
  {
    operation: "product.list",
    method: "GET",
    path: PATH,
    right: "rak_product_read",
    behaviours: ["product.list", "page.cursor"],
    answer: ({ state, form }) => {
      onlyParameters(form, [...PAGE_PARAMETERS, "active", "created"], ["ids", "shippable", "type", "url"]);
      const active = optionalBoolean(form, "active");
      const wanted = createdFilter(form);
      const entries = [...state.products.values()].toReversed().map((product) => ({
        id: product.id,
        object:
          (active === null || product.isActive === active) && wanted(product.created)
            ? productObject(state, product)
            : null,
      }));
      return listPage(entries, form, PATH, "product");
    },
  },
  {
    operation: "product.retrieve",
    method: "GET",
    path: `${PATH}/:id`,
    right: "rak_product_read",
    behaviours: ["product.retrieve"],
    answer: (call) => {
      onlyParameters(call.form, []);
      return productObject(call.state, pathProduct(call));
    },
  },
  {
    operation: "product.update",
    method: "POST",
    path: `${PATH}/:id`,
    right: "rak_product_write",
    behaviours: ["product.update"],
    answer: (call) => {
      onlyParameters(call.form, ["name", "active", "description", "metadata", "unit_label"], NOT_KEPT);
      const product = pathProduct(call);
      change(product, call.form);
      product.updated = nowSeconds(call.state);
      return productObject(call.state, product);
    },
  },
];

/** Adds a product as a POST would, without one. */
export function addProduct(state: LocalState, name: string, id: string | null = null): ProductRecord {
  if (id !== null && state.products.has(id)) {
    refuse("product.id_taken", { message: "Product already exists.", code: "resource_already_exists", param: "id" });
  }
  const created = nowSeconds(state);
  const product: ProductRecord = {
    id: id ?? nextId(state, "prod"),
    created,
    updated: created,
    name,
    description: null,
    unitLabel: null,
    isActive: true,
    metadata: {},
  };
  state.products.set(product.id, product);
  return product;
}

function change(product: ProductRecord, form: FormTree): void {
  const description = unsettableText(form, "description", 40_000);
  const unitLabel = unsettableText(form, "unit_label", 12);
  const name = optionalText(form, "name", { lengthMax: 5000 });
  product.metadata = changedMetadata(product.metadata, form);
  product.name = name ?? product.name;
  product.isActive = optionalBoolean(form, "active") ?? product.isActive;
  product.description = description === undefined ? product.description : description;
  product.unitLabel = unitLabel === undefined ? product.unitLabel : unitLabel;
}

function pathProduct({ state, path }: Call): ProductRecord {
  const id = path["id"] ?? "";
  return state.products.get(id) ?? refuseMissing("product.not_found", "product", id);
}

function productObject(state: LocalState, product: ProductRecord): object {
  return {
    id: product.id,
    object: "product",
    active: product.isActive,
    created: product.created,
    default_price: null,
    description: product.description,
    images: [],
    livemode: isLive(state),
    marketing_features: [],
    metadata: product.metadata,
    name: product.name,
    package_dimensions: null,
    shippable: null,
    tax_code: null,
    tax_details: null,
    type: "service",
    unit_label: product.unitLabel,
    updated: product.updated,
    url: null,
  };
}
