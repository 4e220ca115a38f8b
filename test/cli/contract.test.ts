import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";

import { expect, it, onTestFinished } from "vitest";

import { CHAT_YAML, cli, records, workspace } from "./cli.ts";
import { meter } from "meterbook";

interface Sent {
  readonly company?: string;
  readonly path?: string;
  readonly status?: number;
  readonly tokens?: string;
}

/** A metered app on loopback; answers what the request's own script says. */
async function record(directory: string, requests: readonly Sent[]): Promise<void> {
  const metering = meter({
    config: join(directory, "meterbook.yaml"),
    report: false,
    identifyCompany: (request) => request.headers["x-test-company"],
    getMetadata: () => ({ model: "gpt" }),
  });
  const server: Server = createServer((request, response) => {
    metering(request, response);
    const script = JSON.parse(decodeURIComponent(String(request.headers["x-test-script"]))) as Sent;
    response.writeHead(script.status ?? 200, script.tokens === undefined ? {} : { "X-Tokens-Used": script.tokens });
    response.end("ok");
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  onTestFinished(() => void server.close());
  const { port } = server.address() as AddressInfo;
  for (const sent of requests) {
    const headers: Record<string, string> = { "x-test-script": encodeURIComponent(JSON.stringify(sent)) };
    if (sent.company !== undefined) headers["x-test-company"] = sent.company;
    await (await fetch(`http://127.0.0.1:${port}${sent.path ?? "/chat"}`, { headers })).text();
  }
  metering.track("export_done", { companyId: "acme", id: "job-1" });
  metering.track("export_done", { companyId: "acme", id: "job-1" });
  await metering.close();
}

it("answers other programs as the contract says: usage, explain, status, verify", async () => {
  const directory = workspace(CHAT_YAML);
  await record(directory, [
    { company: "acme", tokens: "120" },
    { company: "acme", tokens: "0.5" },
    { company: "globex", tokens: "7" },
    { company: "globex", status: 429, tokens: "9" },
    { company: "acme", path: "/models" },
    { company: "acme", tokens: "12abc" },
    { tokens: "33" },
  ]);

  const usage = await cli(directory, ["usage", "--json"]);
  expect(usage.stderr).toBe("");
  expect(usage.code).toBe(0);
  const rows = records(usage);
  expect(
    rows.map(({ meter: name, customer, value, events, group }) => ({ name, customer, value, events, group })),
  ).toEqual([
    { name: "chat_tokens", customer: "acme", value: "120.5", events: 2, group: {} },
    { name: "chat_tokens", customer: "globex", value: "7", events: 1, group: {} },
    { name: "exports", customer: "acme", value: "1", events: 1, group: {} },
  ]);
  expect(Object.keys(rows[0] ?? {}).toSorted()).toEqual([
    "customer",
    "events",
    "from",
    "group",
    "meter",
    "to",
    "value",
  ]);

  const grouped = records(
    await cli(directory, [
      "usage",
      "--json",
      "--meter",
      "chat_tokens",
      "--company",
      "acme",
      "--window",
      "day",
      "--group-by",
      "model",
    ]),
  );
  expect(grouped).toHaveLength(1);
  expect(grouped[0]).toMatchObject({ value: "120.5", group: { model: "gpt" } });
  expect(Date.parse(String(grouped[0]?.["to"])) - Date.parse(String(grouped[0]?.["from"]))).toBe(86_400_000);

  const events = records(await cli(directory, ["events", "--json"]));
  expect(events).toHaveLength(8);
  const limited = events.find((event) => (event["response"] as { status?: number } | undefined)?.status === 429);
  const [explained] = records(await cli(directory, ["explain", String(limited?.["id"]), "--json"]));
  expect(explained?.["verdicts"]).toContainEqual({
    meter: "chat_tokens",
    counted: false,
    value: null,
    reason: "response.status is 429, wants 200",
    window: null,
    record: null,
    held: false,
  });

  const [status] = records(await cli(directory, ["status", "--json"]));
  expect(status).toMatchObject({
    events: 8,
    held: 2,
    backlog: 0,
    outbox: { pending: 0, accepted: 0, dead: 0, held: 0 },
  });
  expect(typeof status?.["lag_ms"]).toBe("number");

  const verified = await cli(directory, ["verify", "--json"]);
  expect(verified.code).toBe(0);
  expect(records(verified)[0]).toMatchObject({
    ok: true,
    meters: {
      chat_tokens: { accepted: "160.5", reported: "0", due: "127.5", held: "33", refused: "0" },
      exports: { accepted: "1", reported: "0", due: "1", held: "0", refused: "0" },
    },
  });
});

it("lists what is held and counts it once it is assigned", async () => {
  const directory = workspace(CHAT_YAML);
  await record(directory, [{ tokens: "33" }, { company: "acme", tokens: "oops" }]);
  const held = records(await cli(directory, ["held", "list", "--json"]));
  expect(held.map(({ reason, value }) => ({ reason, value }))).toEqual(
    expect.arrayContaining([
      { reason: "no_company", value: "33" },
      { reason: "not_a_number", value: null },
    ]),
  );
  const nobody = held.find((row) => row["reason"] === "no_company");
  const assigned = await cli(directory, ["held", "assign", String(nobody?.["id"]), "--company", "globex"]);
  expect(assigned.stderr).toBe("");
  expect(assigned.code).toBe(0);
  const rows = records(await cli(directory, ["usage", "--json", "--meter", "chat_tokens"]));
  expect(rows).toMatchObject([{ customer: "globex", value: "33", events: 1 }]);
  expect((await cli(directory, ["verify"])).code).toBe(0);
  const again = await cli(directory, ["held", "assign", "no-such-event", "--company", "globex"]);
  expect(again.code).toBe(1);
  expect(again.stderr).toContain("METER_EVENT_NOT_FOUND");
});

it("previews a meter, rebuilds buckets and checks the machine", async () => {
  const directory = workspace(CHAT_YAML);
  await record(directory, [
    { company: "acme", tokens: "5" },
    { company: "acme", status: 429 },
  ]);
  const preview = records(await cli(directory, ["preview", "chat_tokens", "--json"]))[0];
  expect(preview).toMatchObject({ events: 3, matched: 1, total: "5" });
  const rebuilt = await cli(directory, ["rebuild"]);
  expect(rebuilt.stdout).toContain("every bucket is as stored");
  const doctor = await cli(directory, ["doctor"]);
  expect(doctor.stdout).toMatch(/✓ database/);
  expect(doctor.stdout).toMatch(/✗ stripe .*METER_STRIPE_KEY_MISSING/);
  expect(doctor.code).toBe(1);
});
