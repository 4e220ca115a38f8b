import { startCollector, startFleet } from "./fleet.js";
import { difference, figure, table, target } from "./report.js";
import { median, noiseOf, quantile, rotated } from "./statistics.js";

const LABELS = {
  "http-bare": "bare",
  "http-again": "the same again (A/A)",
  "http-noop": "a middleware that does nothing",
  "http-journal": "meterbook: capture + journal",
  "http-meterbook": "meterbook with its worker",
  "http-morgan": "morgan combined",
  "http-pino": "pino-http",
  "http-moesif": "moesif-nodejs",
};

/** Plain node:http without a kernel: what a middleware itself costs. */
export async function measureInProcess({ folder, inProcessRounds: rounds, inProcessRequests: requests }) {
  const collector = await startCollector();
  const fleet = await startFleet(Object.keys(LABELS), folder, collector.url);
  const subjects = [...fleet.apps].map(([name, app]) => ({ name, app, cpuUs: [], mainUs: [] }));
  for (const { app } of subjects) await app.ask("serve", { requests: 3 * requests });
  for (let round = 0; round < rounds; round++) {
    for (const { app, cpuUs, mainUs } of rotated(subjects, round)) {
      const used = await app.ask("serve", { requests });
      cpuUs.push(used.allUs / requests);
      mainUs.push(used.mainUs / requests);
    }
  }
  await fleet.close();
  await collector.child.ask("close").catch(() => undefined);
  return reportOf(new Map(subjects.map((subject) => [subject.name, subject])), rounds, requests);
}

function reportOf(subjects, rounds, requests) {
  const bare = subjects.get("http-bare");
  const added = (name, which) => subjects.get(name)[which].map((value, round) => value - bare[which][round]);
  const noise = noiseOf(added("http-again", "cpuUs"));
  const rows = [...subjects].map(([name, { cpuUs, mainUs }]) => [
    LABELS[name],
    figure(median(cpuUs)),
    figure(median(mainUs)),
    name === "http-bare" ? "" : difference(median(added(name, "cpuUs"))),
    name === "http-bare" ? "" : difference(median(added(name, "mainUs"))),
    name === "http-bare"
      ? ""
      : `${difference(quantile(added(name, "cpuUs"), 0.2))} … ${difference(quantile(added(name, "cpuUs"), 0.8))}`,
  ]);
  const ours = median(added("http-journal", "cpuUs"));
  const times = median(added("http-moesif", "cpuUs")) / Math.max(ours, noise);
  return {
    title: "node:http in process, no kernel",
    about: `${rounds} interleaved rounds of ${requests} requests over fake sockets, a process for each variant; CPU µs per request, medians. Two identical servers differ by ${figure(noise)} µs in four rounds of five.`,
    tables: [table(["variant", "CPU µs", "of it main", "added µs", "added, main", "p20 … p80"], rows)],
    targets: [
      target("CPU that capture and journal add to node:http", "≤ 10 µs", `${figure(ours)} µs`, ours <= 10),
      target(
        "moesif-nodejs adds × what capture and journal add (node:http)",
        "≥ 25 (stretch 40)",
        figure(times),
        times >= 25,
      ),
    ],
  };
}
