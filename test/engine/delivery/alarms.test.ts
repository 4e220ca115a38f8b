import { expect, it } from "vitest";

import { limits } from "../../../src/engine/limits.ts";
import { recordingReporter, UNKNOWN } from "../../../src/testing/recording-reporter.ts";
import { chat, HOUR, MINUTE, START, world } from "../world.ts";

it("tells of a refused key once, whatever the rows and rounds, and again when it comes back", async () => {
  const { clock, take, round, notices } = world();
  const companies = Array.from({ length: 40 }, (_, at) => `company-${at}`);
  const reporter = recordingReporter({
    customers: Object.fromEntries(companies.map((company) => [company, `cus_${company}`])),
  });
  await take(...companies.map((company) => chat("5", { company })));
  clock.set(START + HOUR + 5 * MINUTE);
  const stop = { counts: false, answer: { kind: "stop", reason: "Stripe refused the key (401)" } } as const;
  const refusing = { ...reporter, report: async () => stop.answer };
  for (let rounds = 0; rounds < 5; rounds++) {
    expect(await round(refusing)).toMatchObject({ stopped: stop.answer.reason });
    clock.advance(MINUTE);
  }
  expect(notices.map(({ code }) => code)).toEqual(["METER_STRIPE_REFUSED"]);
  expect(await round(reporter)).toMatchObject({ accepted: 40, stopped: null });
  await take(chat("1", { company: "company-0", time: START + 1 }));
  await round(refusing);
  expect(notices.map(({ code }) => code)).toEqual(["METER_STRIPE_REFUSED", "METER_STRIPE_REFUSED"]);
});

it("tells of an unreachable biller once, and of a refusal before anything is closed once", async () => {
  const { clock, take, round, notices } = world();
  const reporter = recordingReporter({ customers: { acme: "cus_1" } });
  await take(chat("5"));
  clock.set(START + HOUR + 5 * MINUTE);
  for (const code of ["METER_STRIPE_UNREACHABLE", "METER_STRIPE_REFUSED"] as const) {
    reporter.fail(code);
    for (let rounds = 0; rounds < 3; rounds++) await round(reporter);
  }
  expect(notices.map(({ code }) => code)).toEqual(["METER_STRIPE_UNREACHABLE", "METER_STRIPE_REFUSED"]);
  reporter.fail(null);
  await round(reporter);
  reporter.fail("METER_STRIPE_REFUSED");
  await round(reporter);
  expect(notices).toHaveLength(3);
});

it("tells once that no clear answer comes", async () => {
  const { clock, take, round, notices } = world();
  const companies = Array.from({ length: 20 }, (_, at) => `company-${at}`);
  const reporter = recordingReporter({
    customers: Object.fromEntries(companies.map((company) => [company, `cus_${company}`])),
  });
  await take(...companies.map((company) => chat("5", { company })));
  clock.set(START + HOUR + 5 * MINUTE);
  reporter.answerNext({ counts: false, answer: UNKNOWN }, 100);
  for (let rounds = 0; rounds < 3; rounds++) {
    await round(reporter);
    clock.advance(limits.retryMaxMs);
  }
  expect(notices.map(({ code }) => code)).toEqual(["METER_STRIPE_UNREACHABLE"]);
});

it("tells of refused reports in the round in which it happens, with the reason", async () => {
  const { clock, take, round, notices } = world();
  const reporter = recordingReporter({ customers: { acme: "cus_1" } });
  await take(chat("5"));
  clock.set(START + HOUR + 5 * MINUTE);
  reporter.answerNext({ counts: false, answer: { kind: "dead", reason: "no_such_customer: cus_1", requestId: null } });
  await round(reporter);
  clock.advance(MINUTE);
  await round(reporter);
  expect(notices.map(({ code }) => code)).toEqual(["METER_REPORT_REFUSED"]);
  expect(notices[0]?.text).toContain("1 were refused for good and 0 are in conflict: no_such_customer: cus_1.");
});

it("tells once of a meter that the biller does not have, and again when it goes anew", async () => {
  const { clock, take, round, notices } = world();
  const reporter = recordingReporter({ customers: { acme: "cus_1" } });
  reporter.setMeter("chat_tokens", { kind: "missing", reason: "There is none." });
  await take(chat("5"));
  clock.set(START + HOUR + 5 * MINUTE);
  for (let rounds = 0; rounds < 2; rounds++) await round(reporter);
  expect(notices.map(({ code, text }) => [code, text])).toEqual([
    ["METER_STRIPE_METER_MISSING", "There is none. Its usage is held until one fits."],
  ]);
  reporter.setMeter("chat_tokens", { kind: "ready", keepsLast: null });
  await round(reporter);
  expect(reporter.total("chat_tokens", "cus_1")).toBe("5");
  reporter.setMeter("chat_tokens", { kind: "missing", reason: "There is none." });
  await take(chat("1", { time: START + HOUR }));
  clock.set(START + 2 * HOUR + 5 * MINUTE);
  await round(reporter);
  expect(notices).toHaveLength(2);
});
