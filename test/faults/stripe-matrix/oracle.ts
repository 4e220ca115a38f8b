import type { UsageEvent } from "../../../src/core/event.ts";
import type { OutboxRow } from "../../../src/engine/ports.ts";
import { verify } from "../../../src/engine/books/verify.ts";
import type { LedgerEntry } from "../../../src/testing/local-stripe/ledger.ts";
import { HOUR } from "../../engine/world.ts";
import { refusesKey, type Case } from "./factors.ts";
import { catalog, COMPANIES, isStruck, type CaseEnd } from "./run.ts";
import { RETRY_AFTER_MS, type MadeCall } from "./wire.ts";

/** Sums of one case, for the page of figures. */
export interface Verdict {
  /** Each a sentence about a promise that was not kept. */
  readonly broken: readonly string[];
  /** Reports that are said to be at the biller and are not there. */
  readonly lost: number;
  /** Reports at the biller more than once, or there and not ours. */
  readonly doubled: number;
  readonly invented: number;
  /** Reports that rest without being at the biller, with their reason. */
  readonly apart: number;
}

/** Everything that must hold when faults have ended and time has run on. */
export async function judge(end: CaseEnd): Promise<Verdict> {
  const { store, wire, matrixCase } = end;
  const rows = await store.outbox({ limit: 10_000 });
  const ledger = wire.stripe.ledger();
  const counted = ledger.flatMap(({ identifiers }) => identifiers);
  const known = new Set(rows.map(({ identifier }) => identifier));
  const doubled = counted.length - new Set(counted).size;
  const invented = counted.filter((identifier) => !known.has(identifier)).length;
  const apart = rows.filter((row) => !isAtBiller(row));
  const lost = rows.filter((row) => isAtBiller(row) && !counted.includes(row.identifier ?? "")).length;
  const { ok, differences } = await verify(store, catalog);
  const broken = [
    ...(end.unresolved > 0
      ? [`${end.unresolved} reports or windows never came to rest: ${textOf(rows.filter(isOpen))}`]
      : []),
    ...(lost > 0 ? [`${lost} accepted reports are not at Stripe`] : []),
    ...(ok ? [] : [`verify: ${differences.join("; ")}`]),
    ...(doubled > 0 ? [`${doubled} reports were counted twice`] : []),
    ...(invented > 0 ? [`${invented} counted reports are not ours`] : []),
    ...(isSlow(end) ? [`the last report came to rest after ${end.restlessMs / HOUR} h only`] : []),
    ...wrongSums(end, rows, ledger),
    ...apart
      .filter((row) => !mayStandApart(matrixCase, row))
      .map((row) => `stands apart without cause: ${textOf([row])}`),
    ...struckRowFaults(matrixCase, rows, new Set(counted)),
    ...(await drifts(end)),
    ...blockedLanes(end),
    ...believedTooSoon(end),
    ...end.traffic.crowded.map((lane) => `two reports at once in a lane: ${lane}`),
    ...blindResends(wire.made),
    ...impatience(end),
    ...otherBodies(wire.made),
    ...stopFaults(end),
  ];
  return { broken, lost, doubled, invented, apart: apart.length };
}

/** Without a reason to read the biller's books, all is sent as soon as its window is closed and its pauses are over. */
function isSlow({ matrixCase, restlessMs }: CaseEnd): boolean {
  return restlessMs > (matrixCase.clock === "right" || matrixCase.clock === "set back 1 h" ? 2 * HOUR : 30 * HOUR);
}

function isOpen({ state }: OutboxRow): boolean {
  return state === "pending" || state === "sending";
}

function isAtBiller({ state }: OutboxRow): boolean {
  return state === "accepted" || state === "settled";
}

function textOf(rows: readonly OutboxRow[]): string {
  return rows
    .map(({ company, meter, windowStart, state, reason, attempts }) =>
      [company, meter, new Date(windowStart).toISOString(), state, `${attempts} attempts`, reason].join(" "),
    )
    .join(", ");
}

/** The sums in whole tenths, by a way that shares nothing with the engine's. */
function wrongSums({ events }: CaseEnd, rows: readonly OutboxRow[], ledger: readonly LedgerEntry[]): readonly string[] {
  return COMPANIES.flatMap((company) =>
    (["chat_tokens", "calls"] as const).flatMap((meter) => {
      const own = rows.filter((row) => row.company === company && row.meter === meter);
      const atBiller = ledger
        .filter(({ eventName, customer }) => eventName === meter && customer === `cus_${company}`)
        .reduce((sum, { value }) => sum + BigInt(value), 0n);
      const used = events.filter((event) => event.company === company);
      const tenths = used.reduce((sum, event) => sum + (meter === "calls" ? 10n : tenthsOf(event)), 0n);
      const floor = tenths / 10n;
      const all = wholeSum(own);
      const accepted = wholeSum(own.filter(isAtBiller));
      return [
        ...(all === floor ? [] : [`${company} ${meter}: rows say ${all}, the floor of its usage is ${floor}`]),
        ...(atBiller === accepted
          ? []
          : [`${company} ${meter}: Stripe bills ${atBiller}, accepted rows say ${accepted}`]),
      ];
    }),
  );
}

function tenthsOf({ response }: UsageEvent): bigint {
  const headers = response?.headers;
  const text = String(headers?.["x-tokens-used"] ?? "0");
  const [whole = "0", fraction = "0"] = text.split(".");
  return BigInt(whole) * 10n + BigInt(fraction);
}

function wholeSum(rows: readonly OutboxRow[]): bigint {
  return rows.reduce((sum, { value }) => sum + value, 0n) / 10n ** 12n;
}

/** A row that is not billed must be so for a reason that the case gives. */
function mayStandApart({ fault, clock }: Case, row: OutboxRow): boolean {
  const reason = row.reason ?? "";
  const isOld = clock === "36 days pass" && reason.includes("too_old");
  if (fault === "400 for good" && isStruck(row) && row.state !== "held") {
    // After a call without an answer, a refusal is a person's to judge.
    const earlier = row.state === "conflict" ? "earlier attempt unknown; now refused: " : "";
    const refused = /^(no_such_customer|no_meter|value_refused|timestamp_refused|refused_)/;
    return reason.startsWith(earlier) && refused.test(reason.slice(earlier.length));
  }
  if (row.state === "dead") return isOld && row.attempts === 0;
  return isOld && (row.state === "conflict" || row.state === "held");
}

function struckRowFaults(
  { fault }: Case,
  rows: readonly OutboxRow[],
  counted: ReadonlySet<string | null>,
): readonly string[] {
  const struck = rows.find(isStruck);
  if (struck === undefined) return ["the struck row is gone"];
  const unbilled = rows.filter(
    ({ state, identifier }) => (state === "dead" || state === "conflict") && counted.has(identifier),
  );
  return [
    ...(fault === "400 for good" && isAtBiller(struck)
      ? [`a refused report counts as accepted: ${textOf([struck])}`]
      : []),
    ...unbilled.map((row) => `Stripe bills what we say it does not: ${textOf([row])}`),
  ];
}

async function drifts({ store }: CaseEnd): Promise<readonly string[]> {
  return (await store.drifts()).map(
    ({ customer, reportAs, verdict }) => `drift of ${customer} ${reportAs}: ${verdict}`,
  );
}

/** While nobody died and only one row was struck, all other lanes went on in the same round. */
function blockedLanes({ matrixCase, firstRound, hasCrashed }: CaseEnd): readonly string[] {
  if (hasCrashed || refusesKey(matrixCase.fault)) return [];
  return firstRound.rows
    .filter((row) => !isAtBiller(row) && !(row.company === "acme" && row.meter === "chat_tokens"))
    .map((row) => `kept waiting by another lane's fault: ${textOf([row])}`);
}

/** What is said to be at Stripe was there when it was said, not only after the books were compared. */
function believedTooSoon({ firstRound: { rows, counted } }: CaseEnd): readonly string[] {
  return rows
    .filter((row) => isAtBiller(row) && !counted.has(row.identifier ?? ""))
    .map((row) => `accepted, and not at Stripe: ${textOf([row])}`);
}

/** No report is made 23 hours or more after an earlier one, unless its own minute was read between. */
function blindResends(made: readonly MadeCall[]): readonly string[] {
  const since = new Map<string, { readonly at: number; readonly minute: string }>();
  const blind: string[] = [];
  for (const { at, path, form, life, status } of made) {
    // A refused key is no attempt: the row is as it was before.
    if (status === 401 || status === 403) continue;
    const [pathname = "", query = ""] = path.split("?");
    if (pathname === "/v1/billing/meter_events") {
      const fields = new URLSearchParams(form);
      const identifier = fields.get("identifier") ?? "";
      const from = Number(fields.get("timestamp"));
      const minute = `${fields.get("payload[stripe_customer_id]") ?? ""} ${from} ${from + 60}`;
      const earlier = since.get(identifier);
      if (earlier === undefined) since.set(identifier, { at, minute });
      else if (at - earlier.at >= 23 * HOUR)
        blind.push(`${life} sent ${identifier} again after ${(at - earlier.at) / HOUR} h, blindly`);
    } else if (pathname.endsWith("/event_summaries")) {
      const fields = new URLSearchParams(query);
      const read = `${fields.get("customer") ?? ""} ${fields.get("start_time") ?? ""} ${fields.get("end_time") ?? ""}`;
      for (const [identifier, { minute }] of since) if (minute === read) since.delete(identifier);
    }
  }
  return blind;
}

/** What Stripe asked to wait for is waited for, unless the one who was asked died with the answer, or had a wrong clock. */
function impatience({ matrixCase: { fault, crash, clock }, wire }: CaseEnd): readonly string[] {
  const isForgotten = crash === "after it sent" || crash === "after the answer";
  if (fault !== "429 with Retry-After" || isForgotten || clock === "25 h ahead" || clock === "set back 1 h") return [];
  const until = new Map<string, number>();
  const early: string[] = [];
  for (const { at, path, form, life, status } of wire.made.filter(({ method }) => method === "POST")) {
    if (path !== "/v1/billing/meter_events") continue;
    const identifier = new URLSearchParams(form).get("identifier") ?? "";
    const waitedFor = until.get(identifier) ?? at;
    if (at < waitedFor) early.push(`${life} sent ${identifier} ${waitedFor - at} ms before Stripe wanted it again`);
    if (status === 429) until.set(identifier, at + RETRY_AFTER_MS);
  }
  return early;
}

/** An identifier always stands for one body. */
function otherBodies(made: readonly MadeCall[]): readonly string[] {
  const bodies = new Map<string, string>();
  const changed: string[] = [];
  for (const { path, form } of made) {
    if (path !== "/v1/billing/meter_events") continue;
    const identifier = new URLSearchParams(form).get("identifier") ?? "";
    if ((bodies.get(identifier) ?? form) !== form) changed.push(`${identifier} was sent with two bodies`);
    bodies.set(identifier, form);
  }
  return changed;
}

/** Lanes that may have a report on its way at the moment in which the first of them is refused. */
const LANES = COMPANIES.length * 2;

function totalOf(counts: readonly number[]): number {
  return counts.reduce((all, each) => all + each, 0);
}

/** A refused key stops all sending and is told once by each process; a wrong clock the same. */
function stopFaults({ matrixCase, lives, stoppedRounds, wrongClockRounds }: CaseEnd): readonly string[] {
  const isStop = refusesKey(matrixCase.fault);
  const told = lives.map(({ notices }) => notices.filter((code) => code === "METER_STRIPE_REFUSED").length);
  const skewed = lives.map(({ notices }) => notices.filter((code) => code === "METER_CLOCK_SKEW").length);
  const isWrong = matrixCase.clock === "set back 1 h" || matrixCase.clock === "25 h ahead";
  const [, ...laterWrong] = wrongClockRounds;
  return [
    ...(told.some((times) => times > Number(isStop)) ? [`alarms of a refused key: ${told.join(", ")}`] : []),
    ...(isStop && matrixCase.crash === "none" && totalOf(told) === 0 ? ["a refused key was told to nobody"] : []),
    ...stoppedRounds
      .filter((reports) => reports > LANES)
      .map((reports) => `${reports} reports in a round with a refused key`),
    ...(isWrong && totalOf(skewed) === 0 ? ["a wrong clock was told to nobody"] : []),
    ...(totalOf(laterWrong) > 0
      ? [`${totalOf(laterWrong)} reports under a wrong clock that was known to be wrong`]
      : []),
  ];
}
