/** Exchanges that are watched and not recorded yet, and who waits until there is none. */
export interface Flight {
  count: number;
  readonly waiting: (() => void)[];
}

export function newFlight(): Flight {
  return { count: 0, waiting: [] };
}

/** One exchange less is under way. */
export function land(flight: Flight): void {
  flight.count--;
  if (flight.count === 0) for (const resolve of flight.waiting.splice(0)) resolve();
}

/** Resolves when none is under way any more. */
export async function allLanded(flight: Flight): Promise<void> {
  while (flight.count > 0) await new Promise<void>((resolve) => flight.waiting.push(resolve));
}
