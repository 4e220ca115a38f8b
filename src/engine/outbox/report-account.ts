import { MeterbookError } from "../../core/errors.ts";
import type { Store } from "../ports.ts";

/** Note with the account and mode of the first report: rows and running totals speak of that account alone. */
const NOTE = "report.account";

/** METER_STRIPE_ACCOUNT_CHANGED when the store's usage is reported to another account or mode than this. */
export async function assertAccount(store: Store, account: string): Promise<void> {
  const known = await store.getNote(NOTE);
  if (known === null || known === account) return;
  throw new MeterbookError(
    "METER_STRIPE_ACCOUNT_CHANGED",
    `This database reports to ${known}, but the Stripe key is one of ${account}; nothing is closed or sent, and no usage is lost.`,
    { remedy: "Use another database for the other account or mode, or set the former key again." },
  );
}

/** Binds the store to an account, before the first row that is addressed to it. */
export async function keepAccount(store: Store, account: string): Promise<void> {
  if ((await store.getNote(NOTE)) === null) await store.putNote(NOTE, account);
}
