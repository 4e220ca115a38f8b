// Stands in for Moesif's collector on loopback: takes everything, keeps nothing. Started by fleet.js.
import { createServer } from "node:http";

const ANSWERS = { "/v1/config": "{}", "/v1/rules": "[]" };

const server = createServer((request, response) => {
  request.resume().on("end", () => {
    const answer = ANSWERS[request.url] ?? "{}";
    response.writeHead(request.method === "POST" ? 201 : 200, {
      "Content-Type": "application/json",
      "x-moesif-config-etag": "1",
      "x-moesif-rules-tag": "1",
    });
    response.end(answer);
  });
});

process.on("message", ({ call }) => {
  process.send({ call, answer: null }, () => process.exit());
});
process.on("disconnect", () => process.exit());
server.listen(0, "127.0.0.1", () => process.send({ call: 0, answer: `http://127.0.0.1:${server.address().port}` }));
