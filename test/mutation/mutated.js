// @ts-check

/**
 * What carries money: the rules of numbers, windows, meters and reports, the outbox that makes reports and the delivery
 * that sends them. Each file with the tests that must notice a change in it, so that a mutant runs those alone.
 * @type {Readonly<Record<string, readonly string[]>>}
 */
export const MUTATED = {
  ...inFolder("core", {
    decimal: ["core/decimal", "core/nasty-numbers"],
    "usage-record": ["core/usage-record"],
    usage: ["core/usage"],
    window: ["core/window"],
    aggregation: ["core/aggregation", "core/usage"],
    "event-rules": ["core/event-rules"],
    "amended-event": ["core/amended-event", "core/corrected-event"],
    "exact-number": ["core/exact-number", "core/expression"],
    "exact-json": ["core/exact-json", "core/nasty-numbers"],
    "meter-versions": ["core/meter-versions", "core/meter-timeline", "core/catalog"],
    "bucket-fold": ["core/bucket-fold"],
  }),
  ...inFolder("engine/outbox", {
    outbox: ["engine/outbox/outbox"],
    closing: ["engine/outbox/closing"],
    "held-reports": ["engine/outbox/{held-reports,held-subscriptions,looked-lanes,subscription-faults}"],
    "report-windows": ["engine/outbox/{report-windows,outbox-pages}"],
    "record-identifier": ["engine/outbox/record-identifier"],
  }),
  ...inFolder("engine/delivery", {
    delivery: ["engine/delivery/{delivery-round,delivery,refused-retry,alarms}"],
    "delivery-gates": ["engine/delivery/delivery-gates"],
    "read-back": ["engine/delivery/read-back-verdicts"],
    pace: ["engine/delivery/pace"],
  }),
};

/**
 * @param {string} folder below src
 * @param {Readonly<Record<string, readonly string[]>>} files tests by file, both without endings
 */
function inFolder(folder, files) {
  return Object.fromEntries(
    Object.entries(files).map(([name, tests]) => [
      `src/${folder}/${name}.ts`,
      tests.map((test) => `test/${test}.test.ts`),
    ]),
  );
}
