/** The subpath `meterbook/express`: a server on which Express apps run without their slowest step. */
export { createServer, type CreateServerOptions } from "./create-server.ts";
