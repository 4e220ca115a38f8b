// @ts-check

/**
 * One session of the support bot, as its stream sends it.
 * @typedef {{ sessionId: string, company: string, apiCallsType: "L1" | "L2", apiCalls: number, region: string,
 *   status: string, caseNumber: string, customerEmail: string, timestamp: string }} Session
 */

const COMPANIES = ["Cloud AI", "Machine Emotions", "Play-to-Earn", "Android Sheep", "FinTech Lords", "Metaverse Mages"];
const REGIONS = ["APAC", "EMEA", "AMER"];
const STATUSES = ["resolved", "escalated", "open"];

/**
 * A hundred sessions of August 2024: ninety different ones, seven of them of an unknown region, and ten that came twice.
 * The same seed gives the same sessions.
 * @param {number} seed
 * @returns {readonly Session[]}
 */
export function makeSessions(seed) {
  const random = generator(seed);
  /** @type {(from: readonly string[]) => string} */
  const pick = (from) => from[Math.floor(random() * from.length)] ?? "";
  /** @type {Session[]} */
  const different = [];
  for (let number = 1; number <= 90; number += 1) {
    const company = COMPANIES[(number - 1) % COMPANIES.length] ?? "";
    const day = 1 + Math.floor(random() * 28);
    const minute = Math.floor(random() * 24 * 60);
    different.push({
      sessionId: `S-${String(number).padStart(3, "0")}`,
      company,
      apiCallsType: random() < 0.5 ? "L1" : "L2",
      apiCalls: 1 + Math.floor(random() * 40),
      region: number % 13 === 0 || number === 1 ? "unknown" : pick(REGIONS),
      status: pick(STATUSES),
      caseNumber: `C-${String(1000 + number)}`,
      customerEmail: `user${String(number)}@example.com`,
      timestamp: new Date(Date.UTC(2024, 7, day, 0, minute)).toISOString(),
    });
  }
  const repeated = Array.from({ length: 10 }, () => different[Math.floor(random() * different.length)] ?? different[0]);
  /** @type {Session[]} */
  const all = [...different];
  for (const session of repeated)
    if (session !== undefined) all.splice(Math.floor(random() * (all.length + 1)), 0, session);
  return all;
}

/**
 * Numbers in [0, 1) that a seed decides (mulberry32).
 * @param {number} seed
 * @returns {() => number}
 */
function generator(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
