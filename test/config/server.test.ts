import { describe, expect, it } from "vitest";

import { readConfigObject, type ServerSettings } from "../../src/config/index.ts";
import { DEFAULT_SERVER } from "../../src/config/server-rules.ts";
import { accepted, printed, read } from "./reading.ts";

const SECRET = "a-secret-of-exactly-32-bytes-....";
const withServer = (lines: string): string =>
  `version: 1\nmeters: { m: { aggregate: count } }\nserver:\n${lines.replaceAll(/^/gm, "  ")}\n`;
const serverOf = (lines: string, env: Record<string, string> = {}): ServerSettings =>
  accepted(read(withServer(lines), { env })).server;

describe("the server section", () => {
  it("says where the service listens and what it takes", () => {
    const lines = [
      "host: 0.0.0.0",
      "port: 0",
      "basePath: /api/meter",
      "tokenSecret: ${METER_TOKEN_SECRET}",
      "metrics: true",
      "limits: { bodyBytes: 2048, inflatedBytes: 4096, batchEvents: 5, eventBytes: 1024, requestsPerSecond: 9, bytesPerSecond: 10240 }",
    ];
    expect(serverOf(lines.join("\n"), { METER_TOKEN_SECRET: SECRET })).toEqual({
      host: "0.0.0.0",
      port: 0,
      basePath: "/api/meter",
      tokenSecret: SECRET,
      metrics: true,
      limits: {
        bodyBytes: 2048,
        inflatedBytes: 4096,
        batchEvents: 5,
        eventBytes: 1024,
        requestsPerSecond: 9,
        bytesPerSecond: 10_240,
      },
    });
  });

  it("may be left out, or say one thing alone", () => {
    expect(serverOf("port: 9000")).toEqual({ ...DEFAULT_SERVER, port: 9000 });
    expect(accepted(read("version: 1\nmeters: {}\n")).server).toEqual(DEFAULT_SERVER);
  });

  it("lets inflated bodies be as large as bodies, and events as small as bodies", () => {
    expect(serverOf("limits: { bodyBytes: 33554432 }").limits).toMatchObject({ inflatedBytes: 33_554_432 });
    expect(serverOf("limits: { bodyBytes: 1024, inflatedBytes: 1024 }").limits).toMatchObject({ eventBytes: 1024 });
  });

  it.each(["::1", "::", "10.0.0.7", "meter.internal", "fe80::1"])("takes the host %s", (host) => {
    expect(serverOf(`host: "${host}"`).host).toBe(host);
  });

  it.each([
    ["port: 70000", "4:9  server.port: expected a whole number from 0 to 65535"],
    ["port: -1", "4:9  server.port: expected a whole number from 0 to 65535"],
    ['port: "8888"', "4:9  server.port: expected a whole number from 0 to 65535"],
    ["prot: 1", '4:3  unknown key "prot" in server.  Did you mean "port"?'],
    [
      "host: localhost:80",
      '4:9  server.host: expected an address or a host name such as "127.0.0.1", without a port, received "localhost:80"',
    ],
    [
      "host: http://x",
      '4:9  server.host: expected an address or a host name such as "127.0.0.1", without a port, received "http://x"',
    ],
    [
      "basePath: meter/",
      '4:13  server.basePath: expected a path such as "/meterbook", without a slash at its end  Did you mean "/meter"?',
    ],
    [
      "basePath: /a/../b?c",
      '4:13  server.basePath: expected a path such as "/meterbook", without a slash at its end, received "/a/../b?c"',
    ],
    ["basePath: /a/..", '4:13  server.basePath: expected a path such as "/meterbook"'],
    ["metrics: yes please", "4:12  server.metrics: expected true or false"],
    ["limits: { bodyBytes: 5mb }", "4:24  server.limits.bodyBytes: expected a whole number from 1024 to 67108864"],
    ["limits: { bodyBytes: 1e3 }", "4:24  server.limits.bodyBytes: expected a whole number from 1024 to 67108864"],
    ["limits: { batchEvents: 0 }", "4:26  server.limits.batchEvents: expected a whole number from 1 to 2000"],
    ["limits: { eventBytes: 0.5 }", "4:25  server.limits.eventBytes: expected a whole number from 256 to 1048576"],
    [
      "limits: { requestsPerSecond: .inf }",
      "4:32  server.limits.requestsPerSecond: the number .inf cannot be kept exactly",
    ],
    [
      "limits: { bodyBytes: 2048, inflatedBytes: 1024 }",
      "server.limits.inflatedBytes: expected at least bodyBytes (2048)",
    ],
    [
      "limits: { bodyBytes: 2048, inflatedBytes: 2048, eventBytes: 4096 }",
      "server.limits.eventBytes: expected at most inflatedBytes (2048)",
    ],
    ["tokenSecret: ${SHORT}", "4:16  server.tokenSecret: the secret is shorter than 32 bytes"],
    [
      `tokenSecret: ${SECRET}`,
      "4:16  server.tokenSecret: a secret does not stand in this file; write ${METER_TOKEN_SECRET}",
    ],
    ["tokenSecret: ${UNSET}", "4:16  server.tokenSecret: the environment variable UNSET is not set"],
  ])("with the mistake %j is refused at its place", (lines, text) => {
    const told = printed(read(withServer(lines), { env: { SHORT: "hunter2" } }));
    expect(told).toContain(text);
    // What is meant to be secret is not shown by its mistake.
    expect(told).not.toContain("hunter2");
    expect(told).not.toContain(SECRET);
  });

  it("may hold a secret where a program fills it in", () => {
    const value = { version: 1, meters: {}, server: { tokenSecret: SECRET } };
    const reading = readConfigObject(value, { file: null, env: {}, directory: "/app" });
    expect(accepted(reading).server.tokenSecret).toBe(SECRET);
  });
});
