import { createServer, type IncomingMessage } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";

import { meter } from "meterbook";
import { describe, expect, it, onTestFinished } from "vitest";

import { cli, records, workspace } from "../cli/cli.ts";

const NAMES = ["__proto__", "constructor", "prototype", "toString", "hasOwnProperty", "valueOf"] as const;

const YAML = `version: 1
storage: { path: ./meter.db }
meters:
  calls:
    aggregate: count
    match: { request.method: POST }
    groupBy: { label: request.query.label, header: request.headers.X-Label, body: request.body.label }
  words: { aggregate: sum, value: request.body.words, match: { request.method: POST }, groupBy: { label: metadata.label } }
  polluted: { aggregate: sum, value: request.body.polluted, missingValue: zero }
  tracked: { eventType: done, aggregate: sum, value: values.tokens, groupBy: { label: metadata.label } }
  unique: { eventType: done, aggregate: unique, value: metadata.label }
`;

const bodyOf = (request: IncomingMessage & { body?: unknown }): unknown => request.body;

/** A metered server that parses JSON as most apps do. */
async function serve(directory: string): Promise<{ readonly url: string; readonly close: () => Promise<void> }> {
  const metering = meter({
    config: join(directory, "meterbook.yaml"),
    report: false,
    identifyCompany: (request) => request.headers["x-company"],
    getMetadata: (request) => bodyOf(request),
  });
  const server = createServer((request, response) => {
    metering(request, response);
    let text = "";
    request.on("data", (chunk: Buffer) => (text += chunk.toString()));
    request.on("end", () => {
      Object.assign(request, { body: JSON.parse(text) as unknown });
      response.end("fine");
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  onTestFinished(() => void server.close());
  for (const name of NAMES)
    metering.track("done", {
      companyId: name,
      id: name,
      values: { tokens: 2 },
      metadata: JSON.parse(`{"label":"${name}","__proto__":{"label":"x"}}`) as unknown,
    });
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, close: () => metering.close() };
}

interface Row {
  readonly customer: string;
  readonly group: Readonly<Record<string, string>>;
  readonly value: string;
}

/** What each company's own label must count. */
const each = (value: string): string[] => NAMES.map((name) => `${name} ${name} ${value}`).toSorted();

/** The rows of a meter; of each group, by a label, what it says and counts. */
async function rows(directory: string, name: string, groupBy: string): Promise<string[]> {
  const answer = await cli(directory, ["usage", "--json", "--meter", name, "--group-by", groupBy]);
  const all = records(answer) as unknown as readonly Row[];
  return all.map(({ customer, group, value }) => `${customer} ${group[groupBy] ?? ""} ${value}`).toSorted();
}

describe("names that every object seems to have", () => {
  it("are labels, headers, companies and members like any other: no usage is lost, none is invented", async () => {
    const directory = workspace(YAML);
    const { url, close } = await serve(directory);
    for (const name of NAMES) {
      const body = `{"label":"${name}","words":3,"__proto__":{"polluted":1,"words":1000},"constructor":{"prototype":{"polluted":1}},"${name}":1}`;
      const sent = await fetch(`${url}/x?label=${name}&__proto__=1&constructor[prototype][polluted]=1&${name}=2`, {
        method: "POST",
        headers: { "x-company": name, "x-label": name, "content-type": "application/json", constructor: "1" },
        body,
      });
      expect(await sent.text()).toBe("fine");
    }
    await close();
    for (const label of ["label", "header", "body"]) expect(await rows(directory, "calls", label)).toEqual(each("1"));
    expect(await rows(directory, "words", "label")).toEqual(each("3"));
    expect(await rows(directory, "tracked", "label")).toEqual(each("2"));
    const polluted = records(await cli(directory, ["usage", "--json", "--meter", "polluted"]));
    expect(polluted.filter(({ value }) => value !== "0")).toEqual([]);
    expect(records(await cli(directory, ["held", "list", "--json"]))).toEqual([]);
    expect((await cli(directory, ["verify"])).code).toBe(0);
    const [explained] = records(await cli(directory, ["explain", "__proto__", "--json"]));
    expect(explained).toMatchObject({ event: { company: "__proto__", metadata: { label: "__proto__" } } });
    expect(Reflect.has({}, "polluted")).toBe(false);
  }, 120_000);

  it("are counted the same by commands in a process that refuses __proto__ altogether", async () => {
    const directory = workspace(YAML);
    const { close } = await serve(directory);
    await close();
    const env = { NODE_OPTIONS: "--disable-proto=throw" };
    const usage = records(await cli(directory, ["usage", "--json", "--meter", "tracked"], env)) as unknown as Row[];
    expect(usage.map(({ customer, value }) => `${customer} ${value}`).toSorted()).toEqual(
      NAMES.map((name) => `${name} 2`).toSorted(),
    );
    for (const command of [["status"], ["verify"], ["events"], ["rebuild"], ["check"]])
      expect(await cli(directory, command, env)).toMatchObject({ code: 0 });
  }, 120_000);
});
