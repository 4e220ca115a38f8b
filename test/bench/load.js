import { once } from "node:events";
import { connect } from "node:net";
import { performance } from "node:perf_hooks";

import { requestBytes } from "./requests.js";

const CONNECTIONS = 16;

/** Keep-alive connections to one server that ask and measure; a client of a few lines, so that the other core suffices. */
export async function openLoad(port) {
  const connections = [];
  for (let made = 0; made < CONNECTIONS; made++) {
    const connection = new Connection(port);
    await connection.open();
    connections.push(connection);
  }
  let sent = 0;
  return {
    /** Each connection asks again at once, until so many answers came. */
    async saturate(requests) {
      let left = requests;
      await Promise.all(
        connections.map(async (connection) => {
          while (left > 0) {
            left--;
            await connection.ask(requestBytes(sent++));
          }
        }),
      );
    },
    /** So many requests a second; answers the latencies in µs. */
    async pace(perSecond, requests) {
      const latencies = [];
      const idle = [...connections];
      const due = [];
      const start = performance.now();
      const serve = async (connection, at) => {
        await connection.ask(requestBytes(sent++));
        latencies.push((performance.now() - at) * 1_000);
        const waiting = due.shift();
        if (waiting === undefined) idle.push(connection);
        else void serve(connection, waiting);
      };
      for (let made = 0; made < requests;) {
        const now = performance.now();
        for (; made < requests && start + (made * 1_000) / perSecond <= now; made++) {
          const connection = idle.pop();
          // Measured from here and not from the timetable: this process's own timers are not the server's fault.
          if (connection === undefined) due.push(now);
          else void serve(connection, now);
        }
        await new Promise((resolve) => setTimeout(resolve, 1));
      }
      while (latencies.length < requests) await new Promise((resolve) => setTimeout(resolve, 1));
      return latencies;
    },
    close() {
      for (const connection of connections) connection.close();
    },
  };
}

class Connection {
  #socket;
  #answered = null;
  #received = "";
  #port;

  constructor(port) {
    this.#port = port;
  }

  async open() {
    this.#socket = connect(this.#port, "127.0.0.1").setNoDelay(true).setEncoding("latin1");
    this.#socket.on("data", (text) => this.#receive(text));
    this.#socket.on("error", (error) => this.#answered?.reject(error));
    this.#socket.on("close", () => this.#answered?.reject(new Error("the server closed a connection")));
    await once(this.#socket, "connect");
  }

  ask(bytes) {
    return new Promise((resolve, reject) => {
      if (this.#socket.destroyed) reject(new Error("the server closed a connection while it rested"));
      this.#answered = { resolve, reject };
      this.#socket.write(bytes);
    });
  }

  close() {
    this.#answered = null;
    this.#socket.destroy();
  }

  #receive(text) {
    this.#received += text;
    const head = this.#received.indexOf("\r\n\r\n");
    if (head === -1) return;
    const length = /\r\ncontent-length: *(\d+)/i.exec(this.#received.slice(0, head))?.[1];
    if (!this.#received.startsWith("HTTP/1.1 200") || length === undefined) {
      this.#answered?.reject(new Error(`an answer without success or length: ${this.#received.slice(0, 200)}`));
      return;
    }
    if (this.#received.length < head + 4 + Number(length)) return;
    this.#received = "";
    this.#answered?.resolve();
  }
}
