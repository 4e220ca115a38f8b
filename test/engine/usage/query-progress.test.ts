import { expect, it } from "vitest";

import { limits } from "../../../src/engine/limits.ts";
import { progressBook } from "../../../src/engine/usage/query-progress.ts";
import { manualClock } from "../../../src/testing/manual-clock.ts";

it("tells how far a question is, since when, and that it ended", () => {
  const clock = manualClock(1_000);
  const book = progressBook(clock);
  expect(book.of("a")).toBeNull();
  book.end("a");
  expect(book.of("a")).toBeNull();
  book.note("a", 0, 9);
  clock.advance(5);
  book.note("a", 4, 9);
  expect(book.of("a")).toEqual({ read: 4, total: 9, startedAt: 1_000, updatedAt: 1_005, isDone: false });
  clock.advance(5);
  book.end("a");
  expect(book.of("a")).toEqual({ read: 4, total: 9, startedAt: 1_000, updatedAt: 1_010, isDone: true });
  book.note("a", 1, 2);
  expect(book.of("a")).toEqual({ read: 1, total: 2, startedAt: 1_010, updatedAt: 1_010, isDone: false });
});

it("forgets the questions that were noted longest ago", () => {
  const book = progressBook(manualClock(0));
  for (let place = 0; place < limits.queryProgressMax; place++) book.note(`q${place}`, 0, 1);
  book.note("q0", 1, 1);
  book.note("one more", 0, 1);
  expect(book.of("q0")).toMatchObject({ read: 1 });
  expect(book.of("q1")).toBeNull();
  expect(book.of("q2")).not.toBeNull();
});
