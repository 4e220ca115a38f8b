// @ts-check
import { Meterbook } from "meterbook/client";

/** What meter-lib's three calls become: one client, made once, instead of url and key in each call. */
const meterbook = new Meterbook({
  url: process.env["METERBOOK_URL"] ?? "http://127.0.0.1:8888",
  ...(process.env["METERBOOK_API_KEY"] === undefined ? {} : { apiKey: process.env["METERBOOK_API_KEY"] }),
});
const place = { tenantId: "tenant_123", deviceId: "us-east-ing1" };

// post_meter_usage(...): where it answered None there is an error now, and whatever can be tried again was.
const pages = await meterbook.postMeterUsage({ ...place, meterId: "page.processed.basic", totalUsage: 24 });
console.log(`24 pages: ${pages.status}`);

// With metadata. An id of your own lets a job that runs twice count once; it needs the time beside it to be the same.
const rule = {
  ...place,
  meterId: "rule.executed.small",
  totalUsage: 1,
  id: "rule-abc123/batch-999",
  timestamp: 1_759_791_552_000,
  metadata: { rule_id: "rule-abc123", batch_id: "batch-999" },
};
console.log(`a rule: ${(await meterbook.postMeterUsage(rule)).status}`);
console.log(`the same rule again: ${(await meterbook.postMeterUsage(rule)).status}`);

// post_ai_meter_usage(start_time=...), then post_ai_meter_usage(end_time=...): the pair becomes one duration.
const chat = { ...place, meterId: "chat.on.time_hours", sessionId: "chat-42" };
console.log(`a chat begins: ${(await meterbook.postAiMeterUsage({ ...chat, startTime: 1_759_791_552_000 })).status}`);
const ended = await meterbook.postAiMeterUsage({ ...chat, endTime: 1_759_796_952_000 });
console.log(`it ends: ${ended.status}, after ${String((ended.session?.durationMs ?? 0) / 60_000)} minutes`);

// The look-up that meter-lib makes before each call is not needed: who pays is decided where usage arrives.
const customer = await meterbook.findCustomer(place.tenantId);
console.log(`who pays for tenant_123: ${customer?.name ?? "nobody yet; its usage stands under its own name"}`);

await meterbook.close();
