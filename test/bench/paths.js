import { JSONPath } from "jsonpath-plus";

import { compilePath } from "../../dist/core/field-path.js";
import { figure, table, target } from "./report.js";
import { median, rotated } from "./statistics.js";

const READS = 50_000;

/** One field path against jsonpath-plus, as it is usually called and at its best. */
export function measurePaths({ matchingRounds: rounds }) {
  const events = Array.from({ length: 100 }, (_, at) => ({
    response: { status: 200, headers: { "x-tokens-used": String(at) } },
  }));
  const path = compilePath("response.headers.X-Tokens-Used");
  const compiled = new JSONPath({ path: "$.response.headers['x-tokens-used']", autostart: false });
  const subjects = [
    { label: "meterbook, compiled", read: (event) => path.read(event) },
    { label: "jsonpath-plus, kept instance", read: (json) => compiled.evaluate(undefined, json)[0] },
    {
      label: "jsonpath-plus, usual call",
      read: (json) => JSONPath({ path: "$.response.headers['x-tokens-used']", json })[0],
    },
    {
      label: "jsonpath-plus, usual call, wrap: false",
      read: (json) => JSONPath({ path: "$.response.headers['x-tokens-used']", json, wrap: false }),
    },
  ].map((subject) => Object.assign(subject, { ns: [] }));
  for (const subject of subjects) readAll(subject, events);
  for (let round = 0; round < rounds; round++)
    for (const subject of rotated(subjects, round)) subject.ns.push(readAll(subject, events));
  const [ours, ...others] = subjects.map(({ ns }) => median(ns));
  const best = Math.min(...others) / ours;
  return {
    title: "Reading one field",
    about: "`response.headers.X-Tokens-Used`, wall time, medians.",
    tables: [
      table(
        ["reader", "ns", "×"],
        subjects.map(({ label, ns }) => [label, figure(median(ns), 0), figure(median(ns) / ours, 0)]),
      ),
    ],
    targets: [target("field access, jsonpath-plus at its best : meterbook", "≥ 40", figure(best, 0), best >= 40)],
  };
}

function readAll({ read }, events) {
  const wanted =
    (READS / events.length) * events.reduce((sum, event) => sum + event.response.headers["x-tokens-used"].length, 0);
  let length = 0;
  const start = performance.now();
  for (let turn = 0; turn < READS / events.length; turn++) for (const event of events) length += read(event).length;
  const ns = ((performance.now() - start) * 1e6) / READS;
  if (length !== wanted) throw new Error("a reader gave other values");
  return ns;
}
