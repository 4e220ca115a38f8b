import { createServer as createHttpServer, type RequestListener, type Server, type ServerOptions } from "node:http";
import {
  createServer as createHttpsServer,
  type Server as HttpsServer,
  type ServerOptions as HttpsServerOptions,
} from "node:https";

import { MeterbookError } from "../core/errors.ts";
import { constructorsFor } from "./app-constructors.ts";

/** Options of Node's own http or https server, and `fast`. With `key`, `cert` or `pfx` the server speaks https. */
export type CreateServerOptions = (ServerOptions | HttpsServerOptions) & {
  /** False: a plain server, as http.createServer makes it. */
  readonly fast?: boolean;
};

/**
 * A server for an Express 4 or 5 app whose requests and responses are born with the app's prototypes. Express changes
 * prototypes on every request otherwise, which V8 answers by making all later property accesses slow. Behaviour is the
 * same; what is no Express app gets the plain server. Throws METER_OPTION_INVALID for what can be no listener.
 *
 * @example createServer(app).listen(3000)
 */
export function createServer(app: RequestListener, options: CreateServerOptions = {}): Server | HttpsServer {
  if (typeof app !== "function") {
    throw new MeterbookError(
      "METER_OPTION_INVALID",
      `createServer() takes an app or a request listener; received ${app === null ? "null" : typeof app}.`,
    );
  }
  const { fast = true, ...serverOptions } = options;
  if (typeof fast !== "boolean") {
    throw new MeterbookError(
      "METER_OPTION_INVALID",
      `Option fast of createServer(): expected true or false; received ${typeof fast}.`,
    );
  }
  // Constructors that the caller brought himself win.
  const all = { ...(fast ? constructorsFor(app) : {}), ...serverOptions };
  const isSecure = ["key", "cert", "pfx", "SNICallback"].some((name) => Reflect.get(all, name) !== undefined);
  return isSecure ? createHttpsServer(all, app) : createHttpServer(all, app);
}
