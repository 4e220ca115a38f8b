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
