import { ownMembers } from "../../core/own-member.ts";
import { MeterbookError } from "../../core/errors.ts";
import { meterTypeMistakes, meterTypeOf, type MeterType, type MeterTypeDraft } from "../../core/meter-type.ts";
import { limits } from "../limits.ts";
import type { RegisterEntry, Store } from "../ports.ts";
import { bodyText, change, entriesOf, entryNamed, partsPrefix, type Desk } from "./entries.ts";

/** A meter type as it is kept. */
export interface StoredMeterType extends MeterType {
  readonly id: string;
  readonly revision: number;
  readonly createdAt: number;
  readonly updatedAt: number;
}

/** Makes a meter type. METER_REQUEST_INVALID with its mistakes, METER_CONFLICT for a name that another one has. */
export async function createMeterType(desk: Desk, draft: MeterTypeDraft): Promise<StoredMeterType> {
  const type = checkedType(meterTypeOf(draft));
  const [entry] = await change(
    desk.store,
    [{ kind: "meter_type", id: desk.newId(), seen: null, names: [type.name], body: type, author: desk.author }],
    desk.now,
    "a meter type",
  );
  return typeOfEntry(entry);
}

/** By id or name. METER_NOT_FOUND. */
export async function getMeterType(store: Store, idOrName: string): Promise<StoredMeterType> {
  return typeOfEntry(await entryNamed(store, "meter_type", idOrName, "meter type"));
}

/** In the order of ids; those of a name, or of a category. */
export async function listMeterTypes(
  store: Pick<Store, "listEntries">,
  query: { readonly name?: string | undefined; readonly category?: string | undefined } = {},
): Promise<readonly StoredMeterType[]> {
  const { name, category } = ownMembers(query);
  const found: StoredMeterType[] = [];
  for await (const entry of entriesOf(store, { kind: "meter_type" })) {
    const type = typeOfEntry(entry);
    if (name !== undefined && type.name !== name) continue;
    if (category !== undefined && type.category !== category) continue;
    found.push(type);
  }
  return found;
}

/** Changes a type for meters that are made from now on; those made already stay as they are. */
export async function updateMeterType(
  desk: Desk,
  idOrName: string,
  patch: Partial<MeterTypeDraft>,
): Promise<StoredMeterType> {
  const before = await getMeterType(desk.store, idOrName);
  const type = checkedType(meterTypeOf({ ...plainType(before), ...patch }));
  const [entry] = await change(
    desk.store,
    [
      {
        kind: "meter_type",
        id: before.id,
        seen: before.revision,
        names: [type.name],
        body: type,
        author: desk.author,
      },
    ],
    desk.now,
    "a meter type",
  );
  return typeOfEntry(entry);
}

/** METER_CONFLICT while meters are of this type: purging deletes those first. */
export async function deleteMeterType(desk: Desk, idOrName: string): Promise<void> {
  const { store, now, author } = desk;
  const { id, name, revision } = await getMeterType(store, idOrName);
  const [meter] = await store.listEntries({ kind: "bucket", namePrefix: partsPrefix("type", id), limit: 1 });
  if (meter !== undefined)
    throw new MeterbookError("METER_CONFLICT", `There are meters of the type ${name}.`, {
      remedy: `Delete them first: meterbook purge --type ${JSON.stringify(name)}.`,
    });
  await change(store, [{ kind: "meter_type", id, seen: revision, names: [], body: null, author }], now, "meter type");
}

/** The type alone, as it is frozen into a meter. */
export function plainType(stored: MeterType & Partial<StoredMeterType>): MeterType {
  const { id: _id, revision: _revision, createdAt: _createdAt, updatedAt: _updatedAt, ...type } = stored;
  return type;
}

function checkedType(type: MeterType): MeterType {
  const mistakes = [
    ...meterTypeMistakes(type),
    ...(type.thresholds.length > limits.thresholdsMax
      ? [{ pointer: "/thresholds", message: `expected at most ${limits.thresholdsMax}` }]
      : []),
  ];
  const [first] = mistakes;
  if (first === undefined) return type;
  throw new MeterbookError("METER_REQUEST_INVALID", `The meter type ${JSON.stringify(type.name)}: ${first.message}.`, {
    mistakes,
  });
}

function typeOfEntry(entry: RegisterEntry | undefined): StoredMeterType {
  if (entry === undefined) throw new RangeError("expected an entry for each change");
  const { id, revision, createdAt, updatedAt } = entry;
  const type: MeterType = JSON.parse(bodyText(entry));
  return { ...type, id, revision, createdAt, updatedAt };
}
