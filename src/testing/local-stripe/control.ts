import type { Answer } from "./answer.ts";
import { orderFault } from "./faults.ts";
import { ledgerEntries } from "./ledger.ts";
import type { LocalState } from "./state.ts";

/** Paths that are not Stripe's: what a test in another process asks and orders. */
export const CONTROL_PREFIX = "/_local/";

/** Answers GET /_local/ledger, POST /_local/faults (one order as JSON) and DELETE /_local/faults. */
export function answerControl(state: LocalState, method: string, path: string, body: string): Answer {
  switch (`${method} ${path}`) {
    case "GET /_local/ledger":
      return json(200, ledgerEntries(state));
    case "DELETE /_local/faults":
      state.faults.length = 0;
      return json(200, {});
    case "POST /_local/faults":
      return acceptFault(state, body);
    default:
      return json(404, { error: { message: `No such control: ${method} ${path}` } });
  }
}

function acceptFault(state: LocalState, body: string): Answer {
  try {
    orderFault(state.faults, JSON.parse(body));
    return json(200, {});
  } catch (error) {
    return json(400, { error: { message: error instanceof Error ? error.message : String(error) } });
  }
}

function json(status: number, body: object): Answer {
  return { status, body: JSON.stringify(body), headers: {} };
}
