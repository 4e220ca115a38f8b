import { fork } from "node:child_process";
import { once } from "node:events";
import { mkdirSync } from "node:fs";
import { join } from "node:path";

/** A child program that answers calls over its channel, one at a time. */
class Child {
  #child;
  #calls = new Map();
  #last = 0;

  constructor(program, given, flags = []) {
    this.#child = fork(new URL(program, import.meta.url), given, { execArgv: ["--expose-gc", ...flags] });
    this.#child.on("message", ({ call, answer, error }) => {
      const settle = this.#calls.get(call);
      this.#calls.delete(call);
      if (error === undefined) settle?.resolve(answer);
      else settle?.reject(new Error(error));
    });
    this.#child.on("exit", (code) => {
      for (const { reject } of this.#calls.values()) reject(new Error(`${program} ${given[0]} ended with ${code}`));
    });
  }

  /** Resolves with what the child says first. */
  ready() {
    return new Promise((resolve, reject) => this.#calls.set(0, { resolve, reject }));
  }

  ask(kind, given = {}) {
    const call = ++this.#last;
    return new Promise((resolve, reject) => {
      this.#calls.set(call, { resolve, reject });
      this.#child.send({ call, kind, ...given });
    });
  }

  async close() {
    const gone = once(this.#child, "exit");
    await this.ask("close");
    await gone;
  }
}

/** Starts the local collector; answers it with its URL. */
export async function startCollector() {
  const child = new Child("./collector.js", []);
  const url = await child.ready();
  return { url, child };
}

/** Starts a process per variant, each with a folder of its own. */
export async function startFleet(names, folder, collectorUrl = "", flags = []) {
  const apps = new Map();
  for (const name of names) {
    const own = join(folder, name);
    mkdirSync(own);
    const child = new Child("./app-child.js", [name, own, collectorUrl], flags);
    await child.ready();
    apps.set(name, child);
  }
  return {
    apps,
    async close() {
      for (const child of apps.values()) await child.close();
    },
  };
}
