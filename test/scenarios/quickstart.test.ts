import { join } from "node:path";

import express from "express";
import express4 from "express4";
import { meter } from "meterbook";
import request from "supertest";
import { expect, it } from "vitest";

import { cli, records, workspace } from "../cli/cli.ts";

const YAML = `version: 1
storage: { path: ./meter.db }
meters:
  chat_tokens:
    match: { request.route: /chat, response.status: 200 }
    aggregate: sum
    value: response.headers.X-Tokens-Used
  stream_tokens:
    match: { request.route: /stream }
    aggregate: sum
    value: values.tokens
`;

// Two majors, one type: what the middleware uses of Express is the same in both.
const majors: readonly [string, typeof express][] = [
  ["Express 5", express],
  ["Express 4", express4],
];

it.each(majors)("%s: the README's line meters an app that supertest drives", async (_major, make) => {
  const directory = workspace(YAML);
  const metering = meter({
    config: join(directory, "meterbook.yaml"),
    stripHeaders: ["x-tokens-used"],
    identifyCompany: async () => Promise.resolve("acme"),
  });
  const app = make();
  app.use(metering);
  app.post("/chat", (_req, res) => {
    res.set("X-Tokens-Used", "17").json({ response: "hello" });
  });
  app.get("/stream", (req, res) => {
    res.write("one ");
    req.meter.add("tokens", 2.5);
    req.meter.add("tokens", "2.5");
    res.end("two");
  });
  app.get("/broken", () => {
    throw new Error("the app's own");
  });
  app.use(((_error, _req, res, _next) => {
    res.status(500).send("sorry");
  }) as express.ErrorRequestHandler);

  const chat = await request(app).post("/chat").expect(200, { response: "hello" });
  expect(chat.headers).not.toHaveProperty("x-tokens-used");
  await request(app).get("/stream").expect(200, "one two");
  await request(app).get("/broken").expect(500, "sorry");
  await request(app).get("/nowhere").expect(404);
  await metering.flush();

  const usage = records(await cli(directory, ["usage", "--json"]));
  expect(usage.map(({ meter: name, customer, value }) => [name, customer, value])).toEqual([
    ["chat_tokens", "acme", "17"],
    ["stream_tokens", "acme", "5"],
  ]);
  const events = records(await cli(directory, ["events", "--json"]));
  expect(events.map((event) => (event["response"] as { status: number }).status).toSorted((a, b) => a - b)).toEqual([
    200, 200, 404, 500,
  ]);
  await metering.close();
});

it("refuses wrong options with what was expected, what came and what was meant", () => {
  const wrong = { identifyCompony: () => "acme" } as object;
  expect(() => meter(wrong)).toThrow(/identifyCompony[\s\S]*identifyCompany/);
  expect(() => meter({ config: "/nowhere/meterbook.yaml" })).toThrow(/There is no file/);
  expect(() => meter({ config: { version: 1, meters: { Tokens: { aggregate: "summ" } } } })).toThrow(
    /Tokens[\s\S]*sum/,
  );
});
