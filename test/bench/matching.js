import { compileCatalog, nextVersions } from "../../dist/core/catalog.js";
import { loadConfig } from "../../dist/runtime/load-config.js";
import { figure, table, target } from "./report.js";
import { COMPANIES } from "./requests.js";
import { median, rotated } from "./statistics.js";

const SIZES = [10, 100, 1_000];
const EVENTS = 20_000;

/** What it costs to judge an event against few and many meters, of which it always matches 1.8 on average. */
export function measureMatching({ matchingRounds: rounds }) {
  const subjects = SIZES.map((meters) => ({
    meters,
    catalog: catalogOf(meters),
    events: eventsFor(meters),
    us: [],
    matches: 0,
  }));
  for (const subject of subjects) for (let turn = 0; turn < 5; turn++) judgeAll(subject);
  for (let round = 0; round < rounds; round++) {
    for (const subject of rotated(subjects, round)) {
      const start = performance.now();
      subject.matches = judgeAll(subject);
      subject.us.push(((performance.now() - start) * 1_000) / EVENTS);
    }
  }
  const [few, , many] = subjects.map(({ us }) => median(us));
  const rows = subjects.map(({ meters, us, matches }) => [
    String(meters),
    figure(matches / EVENTS, 2),
    figure(median(us), 3),
    `${figure(Math.min(...us), 3)}–${figure(Math.max(...us), 3)}`,
  ]);
  return {
    title: "Matching",
    about: `Two meters a route (a sum of a header of 200s, a count), one event in ten on a route without a meter; ${EVENTS} events, ${rounds} rounds, wall time. Events are new objects, as the drain makes them.`,
    tables: [table(["meters", "matches/event", "µs/event", "range"], rows)],
    targets: [
      target("matching at 1,000 meters", "≤ 1 µs/event", `${figure(many, 2)} µs`, many <= 1),
      target("1,000 meters : 10 meters", "≤ 3", figure(many / few, 2), many / few <= 3),
    ],
  };
}

function judgeAll({ catalog, events }) {
  let matches = 0;
  for (const event of events) matches += catalog.judge(event).length;
  return matches;
}

function catalogOf(meters) {
  const config = { version: 1, meters: {} };
  for (let route = 0; route < meters / 2; route++) {
    config.meters[`tokens_${route}`] = {
      match: { "request.route": `/route/${route}`, "response.status": 200 },
      aggregate: "sum",
      value: "response.headers.X-Tokens-Used",
    };
    config.meters[`calls_${route}`] = { match: { "request.route": `/route/${route}` }, aggregate: "count" };
  }
  const { settings } = loadConfig({ config, directory: ".", env: {} });
  const wanted = { meters: settings.meters, fields: settings.fields, unknownIdentity: "hold" };
  const { add } = nextVersions([], wanted, Date.now(), true);
  return compileCatalog({ versions: add, fields: settings.fields, unknownIdentity: "hold" });
}

function eventsFor(meters) {
  const lines = Array.from({ length: EVENTS }, (_, at) => {
    const route = at % 10 === 0 ? "/unmetered" : `/route/${(at * 7919) % (meters / 2)}`;
    return JSON.stringify({
      source: "meterbook/http",
      id: `m0123456789abc-${at.toString(36)}`,
      type: "http.request",
      time: 1_790_000_000_000 + at,
      company: COMPANIES[at % COMPANIES.length],
      user: null,
      request: { method: "GET", path: route, route },
      response: { status: 200, headers: { "x-tokens-used": String(20 + (at % 1_000)) } },
      durationMs: 12,
    });
  });
  return lines.map((line) => JSON.parse(line));
}
