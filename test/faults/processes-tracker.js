// A process that tracks the work that it is told, in its own order; the fault tests run several on one database and kill some.
import { meter } from "meterbook";

const silent = () => undefined;
const metering = meter({
  config: String(process.argv[2]),
  report: false,
  logger: { debug: silent, info: silent, warn: silent, error: silent },
});

process.on("message", (/** @type {{ work: { token: string, company: string, tokens: string }[] }} */ { work }) => {
  const next = () => {
    const { token = "", company = "", tokens = "" } = work.shift() ?? {};
    if (token === "") {
      void metering.flush({ timeoutMs: 30_000 }).then(() => process.send?.({ done: true }));
      return;
    }
    metering.track("done", { id: token, companyId: company, metadata: { tokens } });
    process.send?.({ token });
    setImmediate(next);
  };
  next();
});
process.send?.({ ready: true });
