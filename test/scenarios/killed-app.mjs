// An app as a user would write it; the test kills it in the middle of its work.
// @ts-check
import { createServer } from "node:http";

import { meter } from "meterbook";

const metering = meter({ config: String(process.argv[2]), report: false, identifyCompany: () => "acme" });
const server = createServer((request, response) => {
  metering(request, response);
  const { searchParams } = new URL(String(request.url), "http://localhost");
  response.setHeader("X-Tokens-Used", String(searchParams.get("tokens")));
  response.end("ok");
});
server.listen(0, "127.0.0.1", () => {
  const address = server.address();
  process.send?.({ port: typeof address === "object" ? address?.port : 0 });
});
