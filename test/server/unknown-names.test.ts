import request from "supertest";
import { describe, expect, it } from "vitest";

import { startServer } from "./rig.ts";

interface Told {
  readonly in: string;
  readonly pointer: string;
  readonly message: string;
}

const toldOf = (text: string): readonly string[] => {
  const { errors }: { errors: readonly Told[] } = JSON.parse(text);
  return errors.map(({ in: place, pointer, message }) => `${place} ${pointer}: ${message}`);
};

describe("A name that a call may not have", () => {
  it.each([
    ["customer", "customers"],
    ["subject", "subjects"],
    ["window", "windowSize"],
    ["window_size", "windowSize"],
    ["groupby", "groupBy"],
  ])("in a query: for %s it is told that %s was meant", async (sent, meant) => {
    const { url } = await startServer();
    const asked = await request(url).get(`/v1/meters/runs/query?${sent}=x`);
    expect([asked.status, toldOf(asked.text)]).toEqual([
      400,
      [`query /${sent}: there is no such parameter here. Did you mean "${meant}"?`],
    ]);
    const posted = await request(url)
      .post("/v1/meters/runs/query")
      .send({ [sent]: "x" });
    expect(toldOf(posted.text)).toEqual([`body /${sent}: there is no such member here. Did you mean "${meant}"?`]);
  });

  it("within a body: what was meant is told where it stands", async () => {
    const { url } = await startServer();
    const draft = { key: "runs", eventType: "run", aggregate: "count", aggregation: "sum" };
    const made = await request(url).post("/v1/meters").send(draft);
    expect([made.status, toldOf(made.text)]).toEqual([
      400,
      ['body /aggregation: there is no such member here. Did you mean "aggregate"?'],
    ]);
  });

  it("is answered with all that there are, where none is like it and they are few", async () => {
    const { url } = await startServer();
    const listed = await request(url).get("/v1/meters?zzz=1");
    expect(toldOf(listed.text)).toEqual(["query /zzz: there is no such parameter here; known: includeDeleted"]);
    const asked = await request(url).get("/v1/meters/runs/query?zzz=1");
    expect(toldOf(asked.text)).toEqual(["query /zzz: there is no such parameter here"]);
  });

  it("is told of a hundred at most", async () => {
    const { url } = await startServer();
    const names = Array.from({ length: 9_000 }, (_, at) => [`customer${at}`, 1]);
    const asked = await request(url).post("/v1/meters/runs/query").send(Object.fromEntries(names));
    expect([asked.status, toldOf(asked.text).length]).toEqual([400, 100]);
  });
});

describe("A mistake in a question", () => {
  const draft = { key: "runs", eventType: "run", aggregate: "count", groupBy: { model: "data.model" } };

  it("stands in the query where that was sent, under the caller's own name", async () => {
    const { url } = await startServer();
    await request(url).post("/v1/meters").send(draft);
    const asked = async (search: string) =>
      toldOf((await request(url).get(`/v1/meters/runs/query?${search}`)).text).map((told) => told.split(":")[0]);
    expect(await asked("timeZone=Mars/Olympus")).toEqual(["query /timeZone"]);
    expect(await asked("from=2026-01-02&to=2026-01-01")).toEqual(["query /to"]);
    expect(await asked("windowSize=MINUTE&fill&from=2020-01-01&to=2026-01-01")).toEqual(["query /windowSize"]);
    const posted = await request(url).post("/v1/meters/runs/query").send({ timeZone: "Mars/Olympus" });
    expect(toldOf(posted.text)[0]).toMatch(/^body \/timeZone: /);
    const values = await request(url).get("/v1/meters/runs/values/nope");
    expect(toldOf(values.text)[0]).toMatch(/^path \/label: /);
  });

  it("is told with the labels that there are, and how several are asked for", async () => {
    const { url } = await startServer();
    await request(url).post("/v1/meters").send(draft);
    const asked = await request(url).get("/v1/meters/runs/query?groupBy=model,subject");
    expect(toldOf(asked.text)).toEqual([
      'query /groupBy/0: The meter has no label "model,subject"; known: "subject", "model".  For several labels repeat the parameter, or send a list.',
    ]);
  });

  it("that leaves something out is that it is missing", async () => {
    const { url } = await startServer();
    const made = await request(url).post("/v1/meters").send({ key: "runs" });
    expect(toldOf(made.text)).toContain("body /aggregate: is missing");
    const unnamed = await request(url)
      .post("/v1/meters")
      .send({ ...draft, key: undefined });
    expect(toldOf(unnamed.text)).toEqual(["body /key: is missing"]);
  });
});
