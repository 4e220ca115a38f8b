import { onlyParameters } from "./parameters.ts";
import type { Route } from "./route.ts";

export const accountRoutes: readonly Route[] = [
  {
    operation: "account.retrieve",
    method: "GET",
    path: "/v1/account",
    right: "rak_accounts_kyc_basic_read",
    behaviours: ["account.retrieve"],
    answer: ({ state, form }) => {
      onlyParameters(form, []);
      return {
        id: state.settings.account,
        object: "account",
        business_type: null,
        charges_enabled: true,
        country: "US",
        default_currency: "usd",
        details_submitted: true,
        email: null,
        metadata: {},
        payouts_enabled: true,
        type: "standard",
      };
    },
  },
];
