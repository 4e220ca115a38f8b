import { startCollector, startFleet } from "./fleet.js";
import { openLoad } from "./load.js";
import { difference, figure, table, target } from "./report.js";
import { median, noiseOf, quantile, rotated } from "./statistics.js";

const EXPRESS = [
  "express-bare",
  "express-again",
  "express-meterbook",
  "express-moesif",
  "express-morgan",
  "express-pino",
];
const FAST = ["fast-bare", "fast-meterbook"];
const HTTP = ["http-bare", "http-again", "http-meterbook"];

/**
 * Express 5 and node:http with and without meterbook and its peers, over real sockets, a process each, in interleaved
 * slices: CPU of the process per request, latency at a fixed rate, memory at the end.
 */
export async function measureServers({ folder, rounds, sliceRequests, pacedRequests, perSecond, warmUpRequests }) {
  const collector = await startCollector();
  const names = [...EXPRESS, ...FAST, ...HTTP];
  const fleet = await startFleet(names, folder, collector.url);
  const subjects = [];
  for (const [name, app] of fleet.apps) {
    const load = await openLoad(await app.ask("listen"));
    subjects.push({
      name,
      app,
      load,
      atStart: await app.ask("memory"),
      cpuUs: [],
      mainUs: [],
      latencies: [],
      rates: [],
    });
  }
  for (let turn = 0; turn < 3; turn++) for (const { load } of subjects) await load.saturate(warmUpRequests);
  for (let round = 0; round < rounds; round++) {
    for (const subject of rotated(subjects, round)) await takeSlice(subject, sliceRequests);
    for (const subject of rotated(subjects, round + 1))
      subject.latencies.push(await subject.load.pace(perSecond, pacedRequests));
  }
  for (const subject of subjects) {
    subject.atEnd = await subject.app.ask("memory");
    subject.load.close();
  }
  await fleet.close();
  await collector.child.ask("close").catch(() => undefined);
  return reportOf(new Map(subjects.map((subject) => [subject.name, subject])), {
    rounds,
    sliceRequests,
    perSecond,
    pacedRequests,
  });
}

async function takeSlice({ app, load, cpuUs, mainUs, rates }, requests) {
  const before = await app.ask("usage");
  const start = performance.now();
  await load.saturate(requests);
  rates.push((requests * 1_000) / (performance.now() - start));
  const after = await app.ask("usage");
  cpuUs.push((after.allUs - before.allUs) / requests);
  mainUs.push((after.mainUs - before.mainUs) / requests);
}

function reportOf(subjects, settings) {
  const cpu = (name) => subjects.get(name).cpuUs;
  const ratios = (name, base) => cpu(name).map((value, round) => value / cpu(base)[round]);
  const added = (name, base) => cpu(name).map((value, round) => value - cpu(base)[round]);
  const noise = {
    express: noiseOf(added("express-again", "express-bare")),
    http: noiseOf(added("http-again", "http-bare")),
  };
  const rows = [...subjects.keys()].map((name) => {
    const base = baseOf(name);
    const extra = median(added(name, base));
    const isNoise = Math.abs(extra) <= noise[base.split("-")[0]];
    return [
      LABELS[name],
      figure(median(cpu(name))),
      figure(median(subjects.get(name).mainUs)),
      name === base ? "" : difference(extra) + (isNoise ? " (noise)" : ""),
      figure(median(ratios(name, base)), 3),
      `${figure(quantile(ratios(name, base), 0.2), 3)}–${figure(quantile(ratios(name, base), 0.8), 3)}`,
      figure(quantile(subjects.get(name).latencies.flat(), 0.5), 0),
      figure(quantile(subjects.get(name).latencies.flat(), 0.99), 0),
      figure(median(tailRatios(subjects, name, base)), 2),
      figure(megabytes(subjects.get(name).atEnd.rss), 0),
      name === base ? "" : difference(megabytes(subjects.get(name).atEnd.rss - subjects.get(base).atEnd.rss), 0),
    ];
  });
  const head = [
    "server",
    "CPU µs",
    "of it main",
    "added µs",
    "× bare",
    "p20–p80",
    "p50 µs",
    "p99 µs",
    "p99 × bare",
    "RSS MB",
    "over bare",
  ];
  return {
    title: "Servers over real sockets",
    about: `${settings.rounds} interleaved rounds of ${settings.sliceRequests} requests on 16 connections (CPU, all threads, of the server's process per request), and of ${settings.pacedRequests} requests at ${settings.perSecond}/s (latency). Medians of each round's ratio to bare in the same round. Two identical servers differ by ${figure(noise.express)} µs (Express) and ${figure(noise.http)} µs (node:http) in four rounds of five: what is below is noise.`,
    tables: [table(head, rows)],
    targets: targetsOf(subjects, { ratios, added, noise }),
  };
}

function targetsOf(subjects, { ratios, added, noise }) {
  const overExpress = median(ratios("express-meterbook", "express-bare"));
  const fast = median(ratios("fast-meterbook", "express-bare"));
  const ours = median(added("express-meterbook", "express-bare"));
  const moesif = median(added("express-moesif", "express-bare"));
  const lateness = median(tailRatios(subjects, "express-meterbook", "express-bare"));
  const tailNoise = quantile(tailRatios(subjects, "express-again", "express-bare"), 0.8);
  const memory = megabytes(subjects.get("express-meterbook").atEnd.rss - subjects.get("express-bare").atEnd.rss);
  // What cannot be told from nothing is taken for the noise itself.
  const times = moesif / Math.max(ours, noise.express);
  return [
    target("CPU of Express 5 with meterbook, × bare", "≤ 1.12", figure(overExpress, 3), overExpress <= 1.12),
    target(
      "CPU of Express 5 with createServer and meterbook, × bare stock",
      "≤ 0.50 (stretch 0.38)",
      figure(fast, 3),
      fast <= 0.5,
    ),
    target(
      "moesif-nodejs adds × what meterbook adds (Express, sockets, worker included)",
      "≥ 25 (stretch 40)",
      `${figure(times)} (${difference(moesif)} µs : ${difference(ours)} µs)`,
      times >= 25,
    ),
    target(
      "p99 × bare, at a fixed rate",
      `≤ ${figure(tailNoise, 2)}, the identical server's p80`,
      figure(lateness, 2),
      lateness <= Math.max(1, tailNoise),
    ),
    target("RSS over the bare app", "≤ 30 MB", `${figure(memory)} MB`, memory <= 30),
  ];
}

function tailRatios(subjects, name, base) {
  return subjects.get(name).latencies.map((slice, round) => tail(slice) / tail(subjects.get(base).latencies[round]));
}

function tail(latencies) {
  return quantile(latencies, 0.99);
}

function baseOf(name) {
  return name.startsWith("http") ? "http-bare" : "express-bare";
}

function megabytes(bytes) {
  return bytes / 2 ** 20;
}

const LABELS = {
  "express-bare": "Express 5, bare",
  "express-again": "the same again (A/A)",
  "express-meterbook": "Express 5 + meterbook",
  "express-moesif": "Express 5 + moesif-nodejs",
  "express-morgan": "Express 5 + morgan combined",
  "express-pino": "Express 5 + pino-http",
  "fast-bare": "Express 5, createServer",
  "fast-meterbook": "Express 5, createServer + meterbook",
  "http-bare": "node:http, bare",
  "http-again": "the same again (A/A)",
  "http-meterbook": "node:http + meterbook",
};
