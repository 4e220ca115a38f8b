import { expect, it } from "vitest";

import type { MeterAnswer, MeterRow } from "../../src/engine/usage/meter-question.ts";
import { answerText } from "../../src/server/contract/answer-text.ts";

const DAY = 86_400_000;

function row(parts: Partial<MeterRow>): MeterRow {
  return { from: 0, to: DAY, value: "1", events: 1, subject: null, customer: null, group: {}, ...parts };
}

function answer(...rows: readonly MeterRow[]): MeterAnswer {
  return { meter: 'to"kens', from: 0, to: null, rows, eventsRead: 3 };
}

it("an answer is JSON with every row as it is, whatever its texts are like", () => {
  const group = Object.fromEntries([
    ["__proto__", "p"],
    ["toJSON", "t"],
    ["model\n", "\ud800 é 😀 </script>"],
  ]);
  const rows = [
    row({ value: "-9007199254740993.000000000001", customer: 'c"1', subject: "\u2028", group }),
    row({ value: null, from: DAY, to: 2 * DAY, group }),
  ];
  const shown = rows.map((each) => ({
    ...each,
    from: new Date(each.from).toISOString(),
    to: new Date(each.to).toISOString(),
  }));
  const text = answerText(answer(...rows), "json");
  expect(JSON.parse(text)).toEqual({
    meter: 'to"kens',
    from: "1970-01-01T00:00:00.000Z",
    to: null,
    eventsRead: 3,
    data: shown,
    next: null,
  });
  expect(text).toContain('"__proto__":"p"');
});

it("an answer without rows is one too", () => {
  expect(JSON.parse(answerText(answer(), "json"))).toMatchObject({ data: [], next: null });
  expect(answerText(answer(), "csv")).toBe("window_start,window_end,value,events\r\n");
});

it("an answer of more windows than are remembered has each at its place", () => {
  const rows = Array.from({ length: 2_500 }, (_, place) => row({ from: place * DAY, to: (place + 1) * DAY }));
  const read: { data: { from: string; to: string }[] } = JSON.parse(answerText(answer(...rows), "json"));
  expect(read.data.map(({ from, to }) => [Date.parse(from), Date.parse(to)])).toEqual(
    rows.map(({ from, to }) => [from, to]),
  );
  expect(answerText(answer(...rows), "csv").split("\r\n")[2_500]).toBe(
    `${new Date(2_499 * DAY).toISOString()},${new Date(2_500 * DAY).toISOString()},1,1`,
  );
});
