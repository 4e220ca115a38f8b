import { describe, expect, it } from "vitest";

import { serviceLogger, type LogLevel } from "../../src/runtime/service-log.ts";

function log(level: LogLevel = "debug") {
  const lines: string[] = [];
  const logger = serviceLogger({ level, destination: { write: (line) => void lines.push(line) } });
  return { logger, lines, last: () => JSON.parse(lines.at(-1) ?? "") as Record<string, unknown> };
}

describe("the service's log", () => {
  it("writes one JSON object a line, with level, instant and sentence", () => {
    const { logger, lines, last } = log();
    logger.info({ route: "/v1/events", status: 200 }, "A call was answered.");
    expect(lines).toHaveLength(1);
    expect(lines[0]).toMatch(/^\{.*\}\n$/);
    expect(last()).toMatchObject({ level: "info", route: "/v1/events", status: 200, message: "A call was answered." });
    expect(String(last()["time"])).toMatch(/^\d{4}-\d\d-\d\dT/);
  });

  it("lets nobody forge a line or reach a terminal, whatever a client sent", () => {
    const { logger, lines, last } = log();
    const forged = 'x\r\n{"level":"error","message":"hacked"}\u001b[2J\u009b31m\u2028end';
    logger.warn({ subject: forged, [forged]: 1, nested: { deep: forged } }, `sent ${forged}`);
    expect(lines).toHaveLength(1);
    expect(lines[0]?.slice(0, -1)).not.toMatch(/[\p{Cc}\p{Zl}\p{Zp}]/u);
    expect(last()["level"]).toBe("warn");
    expect(String(last()["subject"])).toContain("\\u001b[2J");
  });

  it("writes no secret, by exact names alone, however deep it stands", () => {
    const { logger, lines, last } = log();
    const secret = "mb_abcdefgh_secret";
    const facts = {
      headers: { Authorization: `Bearer ${secret}`, "X-Api-Key": secret },
      list: [{ tokenSecret: secret }],
    };
    logger.error({ ...facts, tokens: 12, x_token_used: "34" }, "It failed.");
    expect(lines.join("")).not.toContain(secret);
    expect(last()).toMatchObject({ tokens: 12, x_token_used: "34", headers: { Authorization: "[redacted]" } });
  });

  it("tells an error with its stack, a bigint exactly, and ends where facts have no end", () => {
    const { logger, last } = log();
    const circle: Record<string, unknown> = {};
    circle["self"] = circle;
    const error = Object.assign(new Error("the disk"), { code: "EIO" });
    logger.error({ error, big: 2n ** 70n, circle, bytes: new Uint8Array(3), text: "x".repeat(5_000) }, "It failed.");
    expect(last()).toMatchObject({
      error: { code: "EIO", message: "the disk" },
      big: "1180591620717411303424",
      bytes: "[3 bytes]",
    });
    expect(JSON.stringify(last()["error"])).toContain("service-log.test");
    expect(String(last()["text"]).length).toBeLessThan(2_100);
  });

  it("says no more than its level", () => {
    const { logger, lines } = log("warn");
    logger.debug({}, "a");
    logger.info({}, "b");
    expect(lines).toEqual([]);
    logger.warn({}, "c");
    logger.error({}, "d");
    expect(lines).toHaveLength(2);
  });
});
