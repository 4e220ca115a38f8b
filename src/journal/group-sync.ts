import { close, fdatasync, fsync, open } from "node:fs";
import { promisify } from "node:util";

const closeFile = promisify(close);
const syncLines = promisify(fdatasync);
const syncNames = promisify(fsync);
const openFile = promisify(open);

/** Called when the lines written before the request are on disk, or with the reason why that is not known. */
export type Synced = (cause: unknown) => void;

/** Brings written lines to the disk: one fdatasync for all who wait, and the next group gathers meanwhile. */
export class GroupSync {
  readonly #afterEach: Synced;
  #waiting: Synced[] = [];
  #wanted = false;
  #active: number | null = null;
  #retired: number[] = [];
  /** A folder whose new names are not on disk yet. */
  #folder: string | null = null;
  #running: Promise<void> | null = null;

  /** `afterEach` hears of each round, before those who wait; its cause is null when all went well. */
  constructor(afterEach: Synced) {
    this.#afterEach = afterEach;
  }

  /** From now on lines go to `fd`, whose name stands in `folder`; the file before it is synced once more and closed. */
  follow(fd: number | null, folder: string | null): void {
    if (this.#active !== null) this.#retired.push(this.#active);
    this.#active = fd;
    this.#folder = folder ?? this.#folder;
  }

  request(done?: Synced): void {
    if (done !== undefined) this.#waiting.push(done);
    this.#wanted = true;
    this.#running ??= this.#run();
  }

  /** Syncs all there is and closes every file. */
  async close(): Promise<void> {
    await this.#running;
    this.follow(null, null);
    await new Promise<void>((resolve) => this.request(() => resolve()));
    await this.#running;
  }

  async #run(): Promise<void> {
    do {
      this.#wanted = false;
      const waiting = this.#waiting;
      const retired = this.#retired;
      this.#waiting = [];
      this.#retired = [];
      const cause = await this.#round(this.#active === null ? retired : [...retired, this.#active]);
      await Promise.all(retired.map((fd) => closeFile(fd).catch(() => undefined)));
      this.#afterEach(cause);
      for (const done of waiting) answer(done, cause);
    } while (this.#wanted);
    this.#running = null;
  }

  async #round(files: readonly number[]): Promise<unknown> {
    let cause: unknown = null;
    for (const fd of files) await syncLines(fd).catch((error: unknown) => (cause ??= error));
    const folder = this.#folder;
    this.#folder = null;
    if (folder !== null) await syncFolder(folder).catch((error: unknown) => (cause ??= error));
    return cause;
  }
}

function answer(done: Synced, cause: unknown): void {
  try {
    done(cause);
  } catch {
    // Whoever waited failed by himself; the others still get their answer.
  }
}

async function syncFolder(folder: string): Promise<void> {
  // Some systems do not let a directory be opened; there is nothing to sync then.
  const fd = await openFile(folder, "r").catch(() => null);
  if (fd === null) return;
  try {
    await syncNames(fd);
  } finally {
    await closeFile(fd);
  }
}
