import { createServer, request as httpRequest, type IncomingMessage, type ServerResponse } from "node:http";

import { onTestFinished } from "vitest";

/** Where a report of usage is on its way to Stripe and back. */
type ReportMoment = "before" | "after";

/** A door before the local Stripe: it passes every call on, and tells when a usage record is about to arrive or was just counted. */
export interface StripeDoor {
  readonly url: string;
  /** Called for each usage record: `before` Stripe hears of it, and `after` Stripe has counted it and nobody knows yet. */
  onReport: (moment: ReportMoment) => void;
}

/** Opens the door on a free port; closed when the test is over. */
export async function openStripeDoor(stripeUrl: string): Promise<StripeDoor> {
  const server = createServer((request, response) => {
    pass(request, response, stripeUrl, (moment) => door.onReport(moment));
  });
  const door: StripeDoor = {
    url: await new Promise((resolve) => {
      server.listen(0, "127.0.0.1", () => {
        const address = server.address();
        resolve(`http://127.0.0.1:${typeof address === "object" ? address?.port : 0}`);
      });
    }),
    onReport: () => undefined,
  };
  onTestFinished(async () => {
    await new Promise((resolve) => {
      server.close(resolve);
      server.closeAllConnections();
    });
  });
  return door;
}

function pass(
  request: IncomingMessage,
  response: ServerResponse,
  stripeUrl: string,
  tell: (moment: ReportMoment) => void,
): void {
  const { method = "GET", url = "/", headers } = request;
  const isReport = method === "POST" && url === "/v1/billing/meter_events";
  if (isReport) tell("before");
  const onward = httpRequest(`${stripeUrl}${url}`, { method, headers }, (answer) => {
    const chunks: Buffer[] = [];
    answer.on("data", (chunk: Buffer) => chunks.push(chunk));
    answer.on("end", () => {
      if (isReport) tell("after");
      response.writeHead(answer.statusCode ?? 502, answer.headers);
      response.end(Buffer.concat(chunks));
    });
    answer.on("error", () => response.destroy());
  });
  onward.on("error", () => response.destroy());
  request.on("error", () => onward.destroy());
  request.pipe(onward);
}
