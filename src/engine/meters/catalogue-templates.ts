import type { MeterTemplate } from "./meter-view.ts";

/** One line of the catalogue: the meter's id as senders state it, its name, what it counts, and its unit. */
type CatalogueLine = readonly [id: string, name: string, description: string, unit: string];

const DOCUMENTS: readonly CatalogueLine[] = [
  ["page.processed.basic", "Basic Document Scanning", "Total number of basic pages processed", "page"],
  ["page.processed.advanced", "Advanced Document Scanning", "Total number of advanced pages processed", "page"],
  ["report.generated.small", "Small Report Generation", "Total number of small reports generated", "report"],
  ["report.generated.medium", "Medium Report Generation", "Total number of medium reports generated", "report"],
  ["report.generated.large", "Large Report Generation", "Total number of large reports generated", "report"],
  [
    "report.generated.dataquery",
    "Data Query Report Generation",
    "Total number of data query reports generated",
    "report",
  ],
  ["report.generated.insights", "Insights Report Generation", "Total number of insights reports generated", "report"],
  [
    "rule.executed.small",
    "Small Rule Execution",
    "Total number of rules executed with runtime less than 1 minute",
    "rule",
  ],
  [
    "rule.executed.medium",
    "Medium Rule Execution",
    "Total number of rules executed with runtime between 1 and 3 minutes",
    "rule",
  ],
  [
    "rule.executed.large",
    "Large Rule Execution",
    "Total number of rules executed with runtime greater than 4 minutes",
    "rule",
  ],
  ["document.storage.size_gb", "Document Storage Size", "Total document storage consumed in GB", "GB"],
  ["template.processed.small", "Small Template Processing", "Total number of small templates processed", "template"],
  ["template.processed.medium", "Medium Template Processing", "Total number of medium templates processed", "template"],
  ["template.processed.large", "Large Template Processing", "Total number of large templates processed", "template"],
  ["template.processed.count", "Template Licensing Count", "Total number of licensed templates processed", "template"],
  ["template.licensed.total", "Yearly Template Setup", "Total yearly template setup count", "setup"],
];

/** Time meters: what is summed up is the duration of sessions, from their begin and end. */
const CHAT: readonly CatalogueLine[] = [
  ["chat.on.time_hours", "Litewave AI Assistant Usage (Hours)", "Total active chat usage time in hours", "hour"],
  [
    "chat.query.time_secs",
    "Litewave AI Assistant Query Time (Seconds)",
    "Total time spent per query in seconds",
    "second",
  ],
];

/**
 * A catalogue of metered document work and chat. The event type is the id that senders state (`page.processed.basic`), the
 * key its legal form (`page_processed_basic`), and what is summed up stands in `data.total_usage`.
 */
export const CATALOGUE_TEMPLATES: readonly MeterTemplate[] = [
  ...DOCUMENTS.map((line) => templateOf("documents", line)),
  ...CHAT.map((line) => templateOf("chat", line)),
];

/** The key of a meter whose senders state this id. */
function catalogueKey(id: string): string {
  return id.replaceAll(".", "_");
}

function templateOf(category: string, [id, name, description, unit]: CatalogueLine): MeterTemplate {
  const key = catalogueKey(id);
  const value = "data.total_usage";
  const draft = { key, name, description, unit, eventType: id, aggregate: "sum", value, groupBy: {} } as const;
  return { key, title: name, description, category, draft };
}
