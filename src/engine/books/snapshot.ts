import type { Store, StoreSnapshot } from "../ports.ts";

/** Reads from the store as it is now, whatever others write meanwhile; the snapshot is closed also when reading fails. */
export async function withSnapshot<Result>(
  store: Pick<Store, "snapshot">,
  read: (view: StoreSnapshot) => Promise<Result>,
): Promise<Result> {
  const view = await store.snapshot();
  try {
    return await read(view);
  } finally {
    await view.close();
  }
}
