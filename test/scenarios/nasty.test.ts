import { EventEmitter, once } from "node:events";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { connect } from "node:net";
import { join } from "node:path";

import { meter, type MeterOptions } from "meterbook";
import { describe, expect, it, onTestFinished } from "vitest";

import { cli, records, workspace } from "../cli/cli.ts";

const YAML = `version: 1
storage: { path: ./meter.db }
meters:
  sent: { aggregate: sum, value: request.headers.X-Tokens, match: { request.method: POST } }
  usage: { aggregate: sum, value: response.headers.X-Usage, match: { request.method: GET } }
  tracked: { eventType: done, aggregate: sum, value: values.tokens }
  names: { eventType: named, aggregate: unique, value: metadata.name }
`;

type Metering = ReturnType<typeof meter>;

function metered(directory: string, options: MeterOptions = {}): Metering {
  return meter({ config: join(directory, "meterbook.yaml"), report: false, identifyCompany: () => "acme", ...options });
}

async function listen(handler: (request: IncomingMessage, response: ServerResponse) => void): Promise<number> {
  const server = createServer(handler);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  onTestFinished(() => {
    server.close();
    server.closeAllConnections();
  });
  const address = server.address();
  return typeof address === "object" ? (address?.port ?? 0) : 0;
}

/** Sends bytes as they are; answers all that comes back, or with `hangUp` only until the first bytes came. */
function raw(port: number, text: string, hangUp = false): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, "127.0.0.1", () => socket.write(text));
    let answer = "";
    socket.on("data", (chunk: Buffer) => {
      answer += chunk.toString("latin1");
      if (hangUp) socket.destroy();
    });
    socket.on("error", reject);
    socket.on("close", () => resolve(answer));
  });
}

const usageOf = async (directory: string, name: string): Promise<unknown> =>
  records(await cli(directory, ["usage", "--json", "--meter", name]))[0]?.["value"] ?? null;
const heldReasons = async (directory: string): Promise<unknown[]> =>
  records(await cli(directory, ["held", "list", "--json"])).map((row) => row["reason"]);

describe("nasty inputs, from the socket to the totals", () => {
  it("H01 and N09: blanks around a header's value are HTTP's, two lines of it are nobody's number", async () => {
    const directory = workspace(YAML);
    const metering = metered(directory);
    const port = await listen((request, response) => {
      metering(request, response);
      response.end();
    });
    await raw(port, "POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nX-Tokens:   42  \r\n\r\n");
    await raw(port, "POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nX-Tokens: 5\r\nx-tokens: 7\r\n\r\n");
    await metering.close();
    expect(await usageOf(directory, "sent")).toBe("42");
    expect(await heldReasons(directory)).toEqual(["ambiguous_header"]);
  });

  it("H02: a header that only writeHead() was given counts", async () => {
    const directory = workspace(YAML);
    const metering = metered(directory);
    const port = await listen((request, response) => {
      metering(request, response);
      response.writeHead(200, { "X-Usage": "7" });
      response.end();
    });
    await raw(port, "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    await metering.close();
    expect(await usageOf(directory, "usage")).toBe("7");
  });

  it("H06: of two credentials neither says who pays", async () => {
    const directory = workspace(`${YAML}identity: { companyId: [request.headers.authorization] }\n`);
    const metering = meter({ config: join(directory, "meterbook.yaml"), report: false });
    const port = await listen((request, response) => {
      metering(request, response);
      response.writeHead(200, { "X-Usage": "7" });
      response.end();
    });
    await raw(
      port,
      "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Bearer a\r\nauthorization: Bearer b\r\n\r\n",
    );
    await metering.close();
    expect(await usageOf(directory, "usage")).toBeNull();
    expect(await heldReasons(directory)).toHaveLength(1);
  });

  it("H07: a client that leaves after the first byte of a megabyte is counted once, and marked", async () => {
    const directory = workspace(YAML);
    const metering = metered(directory);
    const client = new EventEmitter();
    const closed = once(client, "left");
    const port = await listen((request, response) => {
      metering(request, response);
      response.once("close", () => client.emit("left"));
      response.writeHead(200, { "X-Usage": "7" });
      response.end(Buffer.alloc(8_000_000));
    });
    await raw(port, "GET / HTTP/1.1\r\nHost: x\r\n\r\n", true);
    await closed;
    await metering.close();
    expect(await usageOf(directory, "usage")).toBe("7");
    const events = records(await cli(directory, ["events", "--json"]));
    expect(events).toHaveLength(1);
    const amendments = events[0]?.["amendments"] as { aborted?: boolean }[];
    expect(events[0]?.["aborted"] === true || amendments.some((amendment) => amendment.aborted === true)).toBe(true);
  });

  it("D01, D03, D05, D06: identities are compared byte for byte; the first content wins; unclean ones are refused", async () => {
    const directory = workspace(YAML);
    const metering = metered(directory);
    for (const id of ["A", "a", "a "]) metering.track("done", { companyId: "acme", id, values: { tokens: 1 } });
    metering.track("done", { companyId: "acme", id: "1", values: { tokens: 5 } });
    metering.track("done", { companyId: "acme", id: "1", values: { tokens: 500 } });
    expect(() => metering.track("done", { companyId: "acme", id: "a\u0000b" })).toThrow(/id: expected/);
    expect(() => metering.track("done", { companyId: "acme", id: "\ud800" })).toThrow(/id: expected/);
    await metering.close();
    expect(await usageOf(directory, "tracked")).toBe("8");
    expect(records(await cli(directory, ["status", "--json"]))[0]).toMatchObject({ events: 4, conflicts: 1 });
  });

  it("T01 and T02: digits beyond 2^53 and texts that look like numbers survive the database", async () => {
    const directory = workspace(YAML);
    const metering = metered(directory);
    metering.track("done", { companyId: "acme", values: { tokens: 9_007_199_254_740_993n } });
    metering.track("done", { companyId: "acme", values: { tokens: "0.000000000001" } });
    for (const name of ["0012", "12", "1e3", "1000", "9007199254740993.5"])
      metering.track("named", { companyId: "acme", metadata: { name } });
    await metering.close();
    expect(await usageOf(directory, "tracked")).toBe("9007199254740993.000000000001");
    expect(await usageOf(directory, "names")).toBe("5");
    const names = records(await cli(directory, ["events", "--json", "--type", "named"])).map(
      (event) => (event["metadata"] as { name: string }).name,
    );
    expect(names.toReversed()).toEqual(["0012", "12", "1e3", "1000", "9007199254740993.5"]);
  });
});
