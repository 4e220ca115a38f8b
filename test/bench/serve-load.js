// A process of its own that posts events over kept connections; told what to do by a message, answers with one.
import { connect } from "node:net";

process.on("message", (order) => {
  void run(order).then((answer) => process.send(answer));
});
process.send({ ready: true });

/** Posts `calls` calls of `batch` events each over so many connections, one call at a time on each. */
async function run({ port, connections, batch, calls, name }) {
  const latencies = new Float64Array(calls);
  let next = 0;
  let refused = 0;
  const began = process.hrtime.bigint();
  const one = async (connection) => {
    const socket = await open(port);
    while (next < calls) {
      const call = next++;
      const request = requestOf(`${name}-${connection}-${call}`, batch);
      const start = performance.now();
      const status = await post(socket, request);
      latencies[call] = performance.now() - start;
      if (status < 200 || status > 299) refused += 1;
    }
    socket.destroy();
  };
  await Promise.all(Array.from({ length: connections }, (_, connection) => one(connection)));
  const wallMs = Number(process.hrtime.bigint() - began) / 1e6;
  const sorted = latencies.toSorted();
  const at = (share) => sorted[Math.min(calls - 1, Math.floor(calls * share))];
  return { wallMs, refused, p50: at(0.5), p99: at(0.99), max: sorted[calls - 1] };
}

const TIME = new Date().toISOString();

/** An agent's run as CloudEvents has it: 260 bytes an event, 200 customers, 5 groups. */
function requestOf(id, batch) {
  const events = [];
  for (let at = 0; at < batch; at++) {
    const customer = Math.floor(Math.random() * 200);
    events.push(
      `{"specversion":"1.0","id":"${id}-${at}","source":"bench","type":"agent_run","subject":"customer-${customer}","time":"${TIME}","data":{"agent_name":"agent-${at % 5}","tokens":${100 + at},"duration_ms":12.5}}`,
    );
  }
  const single = batch === 1;
  const body = single ? events[0] : `[${events.join(",")}]`;
  const type = single ? "application/cloudevents+json" : "application/cloudevents-batch+json";
  return `POST /v1/events HTTP/1.1\r\nhost: 127.0.0.1\r\nprefer: return=minimal\r\ncontent-type: ${type}\r\ncontent-length: ${Buffer.byteLength(body)}\r\n\r\n${body}`;
}

function open(port) {
  return new Promise((resolve, reject) => {
    const socket = connect({ port, host: "127.0.0.1", noDelay: true }, () => resolve(socket));
    socket.on("error", reject);
  });
}

/** One request and its whole answer; bodies here have a length, or the status that has none. */
function post(socket, request) {
  return new Promise((resolve, reject) => {
    let text = "";
    const take = (chunk) => {
      text += chunk.latin1Slice();
      const end = text.indexOf("\r\n\r\n");
      if (end === -1) return;
      const length = Number(/\r\ncontent-length: (\d+)/i.exec(text.slice(0, end))?.[1] ?? 0);
      if (text.length < end + 4 + length) return;
      socket.off("data", take);
      socket.off("close", lost);
      resolve(Number(text.slice(9, 12)));
    };
    const lost = () => reject(new Error(`the connection was lost: ${text}`));
    socket.on("data", take);
    socket.once("close", lost);
    socket.write(request);
  });
}
