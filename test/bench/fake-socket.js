import { once } from "node:events";
import { Duplex } from "node:stream";

import { requestBytes } from "./requests.js";

const SOCKETS = 16;

/** A client's end without a kernel: requests are pushed into the server's parser, answers are counted and forgotten. */
class FakeSocket extends Duplex {
  answers = 0;
  remoteAddress = "127.0.0.1";
  remotePort = 1;

  _read() {}

  _write(chunk, _encoding, done) {
    this.#count(chunk);
    done();
  }

  _writev(chunks, done) {
    for (const { chunk } of chunks) this.#count(chunk);
    done();
  }

  setTimeout() {
    return this;
  }

  setNoDelay() {
    return this;
  }

  setKeepAlive() {
    return this;
  }

  #count(chunk) {
    // "HTTP": each answer's head comes as the start of one chunk.
    if (chunk.length > 4 && chunk[0] === 72 && chunk[1] === 84 && chunk[2] === 84 && chunk[3] === 80) this.answers++;
  }
}

/** Load for one server in its own process: 16 keep-alive connections, one request under way on each. */
export function openFakeLoad(server) {
  const sockets = Array.from({ length: SOCKETS }, () => {
    const socket = new FakeSocket();
    server.emit("connection", socket);
    return socket;
  });
  let sent = 0;
  return {
    /** Makes so many requests and waits for all answers. */
    async run(requests) {
      const before = answersOf(sockets);
      for (let made = 0; made < requests;) {
        for (const socket of sockets) if (made < requests) made += push(socket, sent++);
        await new Promise(setImmediate);
        // An answer that needs more turns than one, such as a hook's promise, is waited for.
        for (let turns = 0; answersOf(sockets) - before < made; turns++) {
          if (turns > 10_000) throw new Error(`${made - (answersOf(sockets) - before)} requests were never answered`);
          await new Promise(setImmediate);
        }
      }
    },
    async close() {
      for (const socket of sockets) socket.destroy();
      await Promise.all(sockets.filter((socket) => !socket.closed).map((socket) => once(socket, "close")));
    },
  };
}

function push(socket, number) {
  socket.push(requestBytes(number));
  return 1;
}

function answersOf(sockets) {
  let sum = 0;
  for (const { answers } of sockets) sum += answers;
  return sum;
}
