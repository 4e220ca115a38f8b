// A local Stripe in a process of its own: it outlives the apps that are killed. Told by messages: its clock's offset, customers.
import { startLocalStripe } from "meterbook/testing";

let offsetMs = 0;
const stripe = await startLocalStripe({ clock: { now: () => Date.now() + offsetMs }, concurrencyConflicts: true });
stripe.createMeter({ event_name: "chat_tokens" });

process.on("message", (/** @type {{ offsetMs?: number, companies?: string[] }} */ told) => {
  offsetMs = told.offsetMs ?? offsetMs;
  for (const company of told.companies ?? [])
    stripe.createCustomer({ id: `cus_${company}`, metadata: { company_id: company } });
  process.send?.({ done: true });
});
process.on("disconnect", () => process.exit(0));
process.send?.({ url: stripe.url });
