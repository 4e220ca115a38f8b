// @ts-check
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { meter } from "meterbook";

/** @typedef {{ id: number, company: string, user: string, format: string, pages: number, renderedAt: string }} Report */

const beside = (/** @type {string} */ name) => fileURLToPath(new URL(name, import.meta.url));

/** @type {readonly Report[]} */
const reports = JSON.parse(readFileSync(beside("reports.json"), "utf8"));
const config = process.argv[2] ?? beside("meterbook.yaml");
const metering = meter({ config });

for (const { id, company, user, format, pages, renderedAt } of reports) {
  const event = metering.track("report_rendered", {
    // The row's own id: a job that runs twice, or again after a crash, tracks the same event and bills it once.
    id: `report-${String(id)}`,
    time: new Date(renderedAt),
    companyId: company,
    userId: user,
    metadata: { format },
    values: { pages },
  });
  console.log(`tracked ${event}: ${company}, ${String(pages)} pages as ${format}`);
}

await metering.close();
console.log(`${String(reports.length)} reports tracked. Totals: npx meterbook usage --config ${config}`);
