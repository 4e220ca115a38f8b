import { isMeterbookError } from "../../core/errors.ts";
import type { Backend } from "../backend.ts";

/**
 * Asks by a meter's key, and where nobody has that, by its id: callers mostly have the key, and then it is one call.
 * METER_NOT_FOUND.
 */
export async function byKeyOrId<Answer>(
  backend: Pick<Backend, "getMeter">,
  idOrKey: string,
  ask: (key: string) => Promise<Answer>,
): Promise<Answer> {
  try {
    return await ask(idOrKey);
  } catch (error) {
    if (!isMeterbookError(error) || error.code !== "METER_NOT_FOUND") throw error;
    const { key } = await backend.getMeter({ idOrKey });
    if (key === idOrKey) throw error;
    return ask(key);
  }
}
