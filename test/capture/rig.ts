import { once } from "node:events";
import http from "node:http";
import net, { type AddressInfo } from "node:net";

import { onTestFinished } from "vitest";

import { createCapture, type Capture, type CaptureSetup } from "../../src/capture/capture.ts";
import { checkOptions, type MeteredRequest, type MeterOptions } from "../../src/capture/options.ts";
import type { Recorder } from "../../src/capture/recorder.ts";
import { planCapture } from "../../src/core/capture-plan.ts";
import type { Amendment, UsageEvent } from "../../src/core/event.ts";
import type { MeterDefinition } from "../../src/core/meter.ts";
import { tokenMeter } from "../core/match-fixtures.ts";

/** A value with its type forgotten: for calls that the types forbid. */
export const untyped = (value: unknown) => Reflect.get({ value }, nameOfValue);
const nameOfValue: string = "value";

/** The request behind the middleware. */
export const meteredRequest = (request: http.IncomingMessage): MeteredRequest => untyped(request);

/** A recorder whose file is an array. */
export class ArrayRecorder implements Recorder {
  readonly durable: boolean;
  readonly lines: string[] = [];
  refuses = false;
  /** Lines whose disk write is still under way, for `durable`. */
  readonly waiting: ((error?: Error) => void)[] = [];
  readonly #watchers: (() => void)[] = [];

  constructor({ durable = false } = {}) {
    this.durable = durable;
  }

  append(json: string): boolean {
    if (this.refuses) return false;
    this.lines.push(json);
    for (const watcher of this.#watchers.splice(0)) watcher();
    return true;
  }

  appendDurable(json: string, done: (error?: Error) => void): void {
    this.waiting.push(done);
    this.append(json);
  }

  get events(): UsageEvent[] {
    return this.entries.flatMap((entry) => entry.event ?? []);
  }

  get amendments(): Amendment[] {
    return this.entries.flatMap((entry) => entry.amendment ?? []);
  }

  get entries(): { event?: UsageEvent; open?: string[]; amendment?: Amendment }[] {
    return this.lines.map((line) => JSON.parse(line));
  }

  /** Resolves once so many lines are there. */
  async has(lines: number): Promise<this> {
    while (this.lines.length < lines) await new Promise<void>((resolve) => this.#watchers.push(resolve));
    return this;
  }
}

export const tokensMeter = tokenMeter({ eventType: null, match: [] });

export function meterOf(value: string, groupBy: Record<string, string> = {}): MeterDefinition {
  return { ...tokensMeter, value, groupBy };
}

export interface Rig {
  readonly capture: Capture;
  readonly recorder: ArrayRecorder;
  readonly notices: { code: string; text: string }[];
  readonly errors: { error: unknown; at: string }[];
  readonly middleware: (
    request: http.IncomingMessage,
    response: http.ServerResponse,
    next?: (error?: unknown) => void,
  ) => void;
}

interface RigOptions extends Partial<Pick<CaptureSetup, "identity" | "after" | "logger" | "book">> {
  readonly meters?: readonly MeterDefinition[];
  readonly recorder?: ArrayRecorder;
}

/** A capture over an array, with what it told. */
export function rig(
  options: MeterOptions = {},
  {
    meters = [tokensMeter],
    recorder = new ArrayRecorder(),
    identity = { companyId: ["hook"], userId: ["hook"] },
    ...setup
  }: RigOptions = {},
): Rig {
  const notices: Rig["notices"] = [];
  const errors: Rig["errors"] = [];
  let ids = 0;
  const capture = createCapture({
    options: checkOptions({ onError: (error, { at }) => void errors.push({ error, at }), ...options }),
    plan: planCapture({ meters, fields: {}, identityPaths: identity.companyId }),
    identity,
    recorder,
    clock: { now: () => Date.now() },
    nextId: () => `e${++ids}`,
    sessionKey: new Uint8Array(32).fill(7),
    notify: (code, text) => void notices.push({ code, text }),
    ...setup,
  });
  const middleware: Rig["middleware"] = (request, response, next) => {
    capture.observe(request, response);
    next?.();
  };
  return { capture, recorder, notices, errors, middleware };
}

export interface Running {
  readonly url: string;
  readonly port: number;
  readonly server: http.Server;
  close(): Promise<void>;
}

export async function serve(
  listener: http.RequestListener,
  server: http.Server = http.createServer(listener),
): Promise<Running> {
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port }: AddressInfo = untyped(server.address());
  return {
    url: `http://127.0.0.1:${port}`,
    port,
    server,
    async close() {
      if (!server.listening) return;
      server.close();
      server.closeAllConnections();
      await once(server, "close");
    },
  };
}

/** The same, closed when the test that asked for it ends. */
export async function serveForTest(...args: Parameters<typeof serve>): Promise<Running> {
  const running = await serve(...args);
  onTestFinished(() => running.close());
  return running;
}

export interface Answer {
  readonly status: number;
  readonly headers: http.IncomingHttpHeaders;
  readonly trailers: NodeJS.Dict<string>;
  readonly body: string;
}

/** One request; the whole answer. */
export async function ask(url: string, options: http.RequestOptions & { body?: string } = {}): Promise<Answer> {
  const request = http.request(url, { agent: false, ...options });
  request.end(options.body);
  const [response]: http.IncomingMessage[] = await once(request, "response");
  if (response === undefined) throw new Error("no response");
  const chunks: Buffer[] = [];
  for await (const chunk of response) chunks.push(chunk);
  return {
    status: response.statusCode ?? 0,
    headers: response.headers,
    trailers: response.trailers,
    body: Buffer.concat(chunks).toString(),
  };
}

/** A raw socket that has sent `text`. */
export async function rawClient(port: number, text: string): Promise<net.Socket> {
  const socket = net.connect(port, "127.0.0.1");
  socket.on("error", () => undefined);
  await once(socket, "connect");
  socket.write(text);
  return socket;
}

/** Everything that a raw connection receives until the server closes it. */
export async function rawAnswer(port: number, text: string): Promise<string> {
  const socket = await rawClient(port, text);
  const chunks: Buffer[] = [];
  for await (const chunk of socket) chunks.push(chunk);
  return Buffer.concat(chunks).toString("latin1");
}

export const GET = (path: string, ...lines: string[]): string =>
  [`GET ${path} HTTP/1.1`, "Host: x", ...lines, "", ""].join("\r\n");
