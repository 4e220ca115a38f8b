/** Between two lines, so that a run of hours can be followed and a run of seconds says nothing. */
const LINE_EVERY_MS = 30_000;

/** Tells on the console how far a run of `total` rounds is; called with the number that is done, and what else is worth a look. */
export function progress(name: string, total: number): (done: number, note?: string) => void {
  const startedAt = performance.now();
  let toldAt = startedAt;
  return (done, note) => {
    const now = performance.now();
    if (now - toldAt < LINE_EVERY_MS) return;
    toldAt = now;
    const seconds = (now - startedAt) / 1_000;
    const left = Math.round((seconds / Math.max(1, done)) * Math.max(0, total - done));
    const pace = `${(done / seconds).toFixed(1)} a second, about ${left} s to go`;
    console.log(`${name}: ${done} of ${total}, ${pace}${note === undefined ? "" : `; ${note}`}`);
  };
}
