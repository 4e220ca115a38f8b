import { isMeterbookError } from "../../core/errors.ts";
import type { MeterVersion } from "../../core/meter.ts";
import { limits } from "../../engine/limits.ts";
import type { CustomerMapping } from "../../engine/ports.ts";
import { aCount, counted, heldEntry, HOUR, HOUR_MS, type StoreCase } from "./store-case.ts";

function version(key: string, number: number): MeterVersion {
  const definition = {
    key,
    name: key,
    unit: null,
    eventType: "http.request",
    match: [{ path: "request.route", op: "eq", value: "/x" }],
    aggregate: "sum",
    value: "response.headers.X-Tokens-Used",
    groupBy: { model: "metadata.model" },
    missingValue: "hold",
    allowNegative: false,
    report: true,
    reportAs: key,
  } as const;
  return { definition, version: number, effectiveFrom: HOUR + number };
}

/** The code of a MeterbookError that was thrown. */
function refusal(work: Promise<unknown>): Promise<unknown> {
  return work.then(
    () => "done",
    (error: unknown) => (isMeterbookError(error) ? error.code : error),
  );
}

/** The small durable tables. */
export const factCases: readonly StoreCase[] = [
  {
    title: "remembers versions of meters, added by one process at a time",
    run: async ({ store, reopen, same }) => {
      const bare = version("b", 1);
      const whole: MeterVersion = { ...version("a", 1), fields: { n: "'\ud800'" }, unknownIdentity: "drop" };
      const ended: MeterVersion = { ...version("a", 2), fields: {}, unknownIdentity: "hold", ended: true };
      same(await store.meterVersions(), []);
      same(await store.addMeterVersions([whole, bare], 0), true);
      same(await store.addMeterVersions([version("c", 1)], 0), false);
      same(await store.addMeterVersions([version("c", 1)], 1), false);
      same(await store.addMeterVersions([ended], 2), true);
      const again = await reopen();
      same(await again.meterVersions(), [whole, bare, ended]);
      await again.close();
    },
  },
  {
    title: "counts nothing that was judged by other meters than the stored ones",
    run: async ({ store, same }) => {
      const held = heldEntry("held");
      same(await store.ingest([counted({ id: "1" }, 1), held], HOUR, 0), ["stored", "stored"]);
      await store.addMeterVersions([version("a", 1)], 0);
      const before = await store.usageRevision();
      const fact = { source: "app", id: "held", closes: "identity", company: "acme", at: HOUR, author: "cli" } as const;
      same(await refusal(store.ingest([counted({ id: "2" }, 1)], HOUR, 0)), "METER_METERS_CHANGED");
      same(await refusal(store.amend(fact, [aCount(held.event)], [], 0, 0)), "METER_METERS_CHANGED");
      same(await store.usageRevision(), before);
      same((await store.counts()).heldEvents, 1);
      same(await store.ingest([counted({ id: "2" }, 1)], HOUR, 1), ["stored"]);
      same(await store.amend(fact, [aCount(held.event, { company: "acme" })], [], 0, 1), "done");
      same(await store.ingest([counted({ id: "3" }, 1)], HOUR, null), ["stored"]);
    },
  },
  {
    title: "lets versions begin after every stored event, but for one with a wrong clock",
    run: async ({ store, reopen, same }) => {
      const later = HOUR + 60_000;
      const wrong = HOUR + HOUR_MS;
      await store.ingest([counted({ id: "1", time: later }, 1), counted({ id: "2", time: wrong }, 1)], HOUR, 0);
      await store.ingest([counted({ id: "3", time: HOUR }, 1)], HOUR, 0);
      const again = await reopen();
      await again.addMeterVersions([version("a", 1), { ...version("b", 1), effectiveFrom: wrong }], 0);
      same(
        (await again.meterVersions()).map(({ effectiveFrom }) => effectiveFrom),
        [later + 1, wrong],
      );
      await again.close();
    },
  },
  {
    title: "remembers which customer a company is",
    run: async ({ store, reopen, same }) => {
      const acme: CustomerMapping = {
        company: "acme",
        state: "mapped",
        customers: ["cus_1"],
        checkedAt: HOUR,
        misses: 0,
      };
      const beta: CustomerMapping = {
        company: "beta",
        state: "ambiguous",
        customers: ["cus_2", "cus_3"],
        checkedAt: HOUR,
        misses: 3,
      };
      await store.putCustomerMappings([{ ...acme, state: "missing", customers: [] }, beta]);
      await store.putCustomerMappings([acme]);
      const again = await reopen();
      const known = await again.customerMappings();
      same(
        known.toSorted((a, b) => (a.company < b.company ? -1 : 1)),
        [acme, beta],
      );
      same(await again.customerMappings(["beta", "nobody", "beta"]), [beta]);
      await again.close();
    },
  },
  {
    title: "remembers notes",
    run: async ({ store, reopen, same }) => {
      same(await store.getNote("cursor"), null);
      await store.putNote("cursor", "1");
      await store.putNote("cursor", "2");
      const again = await reopen();
      same(await again.getNote("cursor"), "2");
      await again.close();
    },
  },
  {
    title: "has a name that stays",
    run: async ({ store, reopen, same }) => {
      const { id } = store;
      same(id !== "", true);
      const again = await reopen();
      same(again.id, id);
      await again.close();
    },
  },
  {
    title: "gives a lease back, but not another holder's",
    run: async ({ store, same }) => {
      same(await store.lease("reporter", "a", HOUR, 100), true);
      same(await store.lease("reporter", "b", HOUR, 0), false);
      same(await store.lease("reporter", "b", HOUR, 100), false);
      same(await store.lease("reporter", "a", HOUR, 0), true);
      same(await store.lease("reporter", "a", HOUR, 0), true);
      same(await store.lease("reporter", "b", HOUR - 1_000_000, 100), true);
    },
  },
  {
    title: "takes a lease for over that was taken under a clock far ahead",
    run: async ({ store, same }) => {
      const year = 365 * 86_400_000;
      same(await store.lease("reporter", "a", HOUR + year, limits.reporterLeaseMs), true);
      same(await store.lease("reporter", "b", HOUR, limits.reporterLeaseMs), true);
      same(await store.lease("reporter", "c", HOUR, limits.reporterLeaseMs), false);
    },
  },
  {
    title: "gives a lease to one holder at a time",
    run: async ({ store, same }) => {
      same(await store.lease("reporter", "a", HOUR, 100), true);
      same(await store.lease("reporter", "b", HOUR + 99, 100), false);
      same(await store.lease("other", "b", HOUR, 100), true);
      same(await store.lease("reporter", "a", HOUR + 50, 100), true);
      same(await store.lease("reporter", "b", HOUR + 100, 100), false);
      same(await store.lease("reporter", "b", HOUR + 150, 100), true);
      same(await store.lease("reporter", "a", HOUR + 151, 100), false);
    },
  },
];
