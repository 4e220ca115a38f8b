import { execFile } from "node:child_process";
import { promisify } from "node:util";

import { expect, it } from "vitest";

import type { LocalStripe } from "../../src/testing/index.ts";
import { control, withLocalStripe } from "./running-stripe.ts";

interface Help {
  readonly controls: readonly string[];
  readonly examples: readonly { readonly control: string; readonly curl: string }[];
}

async function help(local: LocalStripe): Promise<Help> {
  return (await control(local, "GET help")) as Help;
}

/** The words of a call, as a shell splits and unquotes them. */
async function wordsOf(line: string): Promise<readonly string[]> {
  const { stdout } = await promisify(execFile)("sh", ["-c", `printf '%s\\0' ${line}`]);
  return stdout.split("\0").slice(0, -1);
}

/** Does what `curl -s [-X METHOD] URL [-d BODY]` does, on machines without curl too. */
async function call(line: string): Promise<{ readonly status: number; readonly text: string }> {
  const words = await wordsOf(line);
  const after = (option: string): string | undefined =>
    words.includes(option) ? words[words.indexOf(option) + 1] : undefined;
  const url = words.find((word) => word.startsWith("http"));
  expect(words.slice(0, 2)).toEqual(["curl", "-s"]);
  const response = await fetch(String(url), { method: after("-X") ?? "GET", body: after("-d") ?? null });
  return { status: response.status, text: await response.text() };
}

it("the help of the local Stripe has a call for every control, and each works as it is copied, twice", async () => {
  await withLocalStripe({}, async ({ local }) => {
    for (let round = 0; round < 2; round += 1) {
      const first = await help(local);
      const seed = first.examples.find((example) => example.control === "POST /_local/seed");
      expect((await call(String(seed?.curl))).status).toBe(200);
      const { controls, examples } = await help(local);
      expect(examples.map((example) => example.control).toSorted()).toEqual(controls.toSorted());
      for (const { control: name, curl } of examples)
        expect([name, await call(curl)]).toMatchObject([name, { status: 200 }]);
    }
    expect(local.ledger()).toEqual([]);
  });
}, 60_000);

it("the examples name what is there", async () => {
  await withLocalStripe({}, async ({ local }) => {
    local.createMeter({ event_name: "it's" });
    const { examples } = await help(local);
    const deactivate = examples.find((example) => example.control.endsWith("meters/deactivate"));
    expect(await wordsOf(String(deactivate?.curl))).toContain('{"event_name":"it\'s"}');
    expect((await call(String(deactivate?.curl))).status).toBe(200);
  });
});
