import http from "node:http";

import onHeaders from "on-headers";
import { describe, expect, it } from "vitest";

import { ArrayRecorder, GET, rawAnswer, rig, serveForTest, untyped } from "./rig.ts";

type Program = (response: http.ServerResponse, request: http.IncomingMessage) => void;

const trying = (attempt: () => unknown): string => {
  try {
    attempt();
    return "fine";
  } catch (error) {
    return String(Reflect.get(untyped(error), "code"));
  }
};
const writeHead = (response: http.ServerResponse, ...given: unknown[]): http.ServerResponse =>
  Reflect.apply(Reflect.get(response, "writeHead"), response, given);

/** What an application may do with a response. The bytes are to be those of bare Node. */
const programs: Record<string, Program> = {
  "end alone": (response) => void response.end(),
  "end with text": (response) => void response.end("fine"),
  "end with bytes and a header": (response) => void response.setHeader("X-A", "1").end(Buffer.from("fine")),
  "write and end": (response) => {
    response.write("fi");
    response.end("ne");
  },
  "writeHead(200, object)": (response) => void writeHead(response, 200, { "X-A": 1, "X-B": ["1", "2"] }).end("fine"),
  "writeHead(200, undefined, object)": (response) => void writeHead(response, 200, undefined, { "X-A": "1" }).end("x"),
  "writeHead(200, null, list)": (response) => void writeHead(response, 200, null, ["X-A", "1"]).end("x"),
  "writeHead with a message": (response) => void writeHead(response, 201, "Made", { "X-A": "1" }).end("x"),
  "writeHead with a message alone": (response) => void writeHead(response, 404, "Gone fishing").end("x"),
  "writeHead with pairs that repeat": (response) =>
    void writeHead(response, 200, [
      ["Set-Cookie", "a=1"],
      ["Set-Cookie", "b=2"],
      ["X-A", "1"],
    ]).end("x"),
  "writeHead with a flat list that repeats": (response) =>
    void writeHead(response, 200, ["X-A", "1", "X-A", "2", "Set-Cookie", "a=1", "Set-Cookie", "b=2"]).end("x"),
  "setHeader, then a flat list": (response) =>
    void writeHead(response.setHeader("X-A", "0").setHeader("X-C", "3"), 200, ["X-A", "1", "x-a", "2"]).end("x"),
  "setHeader, then an object": (response) =>
    void writeHead(response.setHeader("X-A", "0"), 200, { "x-a": "1", "X-B": "2" }).end("x"),
  "setHeader, then pairs": (response) =>
    void response
      .setHeader("X-A", "0")
      .end(trying(() => writeHead(response, 200, [["X-A", "1"]])) + String(response.headersSent)),
  "a list with a name too many": (response) =>
    void response.end(trying(() => writeHead(response, 200, ["X-A", "1", "X-B"]))),
  "a stated header that is wrong": (response) =>
    void response.end(trying(() => writeHead(response, 200, { "X A": "1" }))),
  "a stated value that is undefined": (response) =>
    void response.end(trying(() => writeHead(response, 200, { "X-A": undefined }))),
  "a refused status, then the one before": (response) => {
    const code = trying(() => writeHead(response, 99, { "X-A": "1" }));
    response.end(`${code} ${response.statusCode}`);
  },
  "a status as text": (response) => void writeHead(response, "201", { "X-A": "1" }).end("x"),
  "statusCode as text": (response) => {
    response.statusCode = untyped("202");
    response.end("x");
  },
  "a fraction of a status": (response) => void writeHead(response, 200.7).end("x"),
  "a refused status message": (response) => {
    response.statusMessage = "b\u0001d";
    const code = trying(() => response.end("x"));
    response.statusMessage = "Fine";
    response.end(code);
  },
  "a second head": (response) => {
    writeHead(response, 200, { "X-A": "1" });
    response.write("a");
    response.end(trying(() => writeHead(response, 500)) + String(response.statusCode));
  },
  "what getHeader knows after writeHead": (response) => {
    writeHead(response, 200, { "X-A": "1" });
    response.end(JSON.stringify([response.getHeader("x-a") ?? null, response.getHeaderNames()]));
  },
  "removeHeader of the length": (response) => {
    response.removeHeader("content-length");
    response.end("chunked");
  },
  "a stated length and a late end": (response) => {
    response.setHeader("Content-Length", 4);
    response.write("fine");
    setImmediate(() => response.end());
  },
  "flushHeaders of 204": (response) => {
    response.statusCode = 204;
    response.flushHeaders();
    setImmediate(() => response.end());
  },
  "304 with a length": (response) => void writeHead(response, 304, { "Content-Length": "7" }).end(),
  "end with what it refuses": (response) => {
    const code = trying(() => response.end(untyped(123)));
    response.statusCode = 500;
    if (!response.writableEnded) response.end(code);
  },
  "end twice, and a write after it": (response) => {
    const told: string[] = [];
    response.on("error", (error) => told.push(String(Reflect.get(error, "code"))));
    response.end("fine");
    expect([response.writableEnded, response.finished, response.headersSent]).toEqual([true, true, true]);
    response.end();
    response.write("more");
  },
  "end with a callback": (response) => void response.write("a", () => response.end("b", "latin1", () => undefined)),
  "cork and uncork": (response) => {
    response.cork();
    response.write("a");
    response.write("b");
    response.uncork();
    response.end("c");
  },
  "destroy after end": (response) => {
    response.end("fine");
    response.destroy();
  },
  "a socket that is destroyed after end": (response, request) => {
    response.end("fine");
    request.socket.destroy();
  },
  trailers: (response) => {
    response.setHeader("Trailer", "X-A");
    const code = trying(() => response.write("a"));
    if (code === "fine") response.addTrailers({ "X-A": "1" });
    else response.removeHeader("Trailer");
    response.end(code);
  },
  "early hints and continue": (response) => {
    response.writeEarlyHints({ link: "</a.css>; rel=preload" });
    response.end("x");
  },
  "no date, no connection": (response) => {
    response.sendDate = false;
    response.removeHeader("connection");
    response.end("x");
  },
  "a listener of the head that is mounted later": (response) => {
    onHeaders(response, () => response.setHeader("X-Late", "1"));
    response.end("x");
  },
};

async function bytesOf(program: Program, listener: http.RequestListener | null, request: string): Promise<string> {
  const server = await serveForTest((incoming, response) => {
    listener?.(incoming, response);
    program(response, incoming);
  });
  const answer = await rawAnswer(server.port, request);
  return answer.replace(/^Date: .*$/gm, "Date: …");
}

const requests = [
  GET("/", "Connection: close"),
  GET("/", "Connection: close").replace("GET", "HEAD"),
  "GET / HTTP/1.0\r\n\r\n",
];

describe("the bytes of bare Node", () => {
  it.each(Object.entries(programs))("%s", async (_, program) => {
    for (const request of requests) {
      const bare = await bytesOf(program, null, request);
      const parts = rig({ stripHeaders: ["X-Nobody-Sets"], capture: "all" });
      expect(await bytesOf(program, parts.middleware, request)).toBe(bare);
      expect(parts.recorder.events).toHaveLength(1);
      expect(parts.recorder.events[0]?.response?.status).toBe(statusOf(bare));
      expect(parts.errors).toEqual([]);
      expect(parts.capture.inFlight()).toBe(0);
    }
  });

  it.each(Object.entries(programs))("with durability power: %s", async (_, program) => {
    const [request = ""] = requests;
    const bare = await bytesOf(program, null, request);
    const recorder = new ArrayRecorder({ durable: true });
    const parts = rig({}, { recorder });
    void recorder.has(1).then(() => setImmediate(() => recorder.waiting[0]?.()));
    expect(await bytesOf(program, parts.middleware, request)).toBe(bare);
    expect(parts.capture.stats()).toMatchObject({ observed: 1, recorded: 1, errors: 0 });
    await parts.capture.settled();
  });

  it("and the same facts in each form", async () => {
    const forms: unknown[][] = [
      [200, { "X-Tokens-Used": 7 }],
      [200, undefined, { "x-tokens-used": "7" }],
      ["200", "Fine", ["X-Tokens-Used", "7"]],
      [200, [["X-Tokens-Used", "7"]]],
    ];
    for (const stripHeaders of [[], ["X-Tokens-Used"]]) {
      for (const form of forms) {
        const parts = rig({ stripHeaders });
        const program: Program = (response) => void writeHead(response, ...form).end("x");
        const sent = await bytesOf(program, parts.middleware, GET("/", "Connection: close"));
        expect(/x-tokens-used/i.test(sent)).toBe(stripHeaders.length === 0);
        expect(parts.recorder.events[0]?.response).toEqual({ status: 200, headers: { "x-tokens-used": "7" } });
      }
    }
  });
});

const statusOf = (answer: string): number =>
  Number(/^HTTP\/1\.1 (\d+)/m.exec(answer.replace(/^HTTP\/1\.1 1\d\d[^]*?\r\n\r\n/, ""))?.[1]);

async function factsOf(program: Program, stripHeaders: string[] = []): Promise<unknown> {
  const parts = rig({ stripHeaders });
  await bytesOf(program, parts.middleware, GET("/", "Connection: close"));
  expect(parts.recorder.lines).toHaveLength(1);
  return parts.recorder.events[0]?.response;
}

const failsOnce: Program = (response) => {
  response.setHeader("X-Tokens-Used", "7");
  response.statusMessage = "b\u0001d";
  expect(trying(() => response.end("x"))).toBe("ERR_INVALID_CHAR");
  expect(response.getHeader("X-Tokens-Used")).toBe("7");
  response.statusMessage = "";
  response.statusCode = 503;
  response.end("sorry");
};

const statesInVain: Program = (response) => {
  trying(() => writeHead(response, 99, { "X-Tokens-Used": "9" }));
  response.end("x");
};

const changesTooLate: Program = (response) => {
  response.setHeader("X-Tokens-Used", "5");
  response.write("part");
  trying(() => writeHead(response, 500, { "X-Tokens-Used": "9" }));
  response.statusCode = 500;
  response.end();
};

describe("facts of the head that was sent", () => {
  it("forget one that was refused, and find what was stripped for it", async () => {
    for (const stripHeaders of [[], ["x-tokens-used"]]) {
      expect(await factsOf(failsOnce, stripHeaders)).toEqual({ status: 503, headers: { "x-tokens-used": "7" } });
    }
    expect(await factsOf(statesInVain)).toEqual({ status: 200 });
  });

  it("keep the status that left, whatever is written to the response later", async () => {
    expect(await factsOf(changesTooLate)).toEqual({ status: 200, headers: { "x-tokens-used": "5" } });
  });

  it("see what middleware that was mounted before adds at the last moment", async () => {
    const parts = rig();
    const server = await serveForTest((request, response) => {
      onHeaders(response, () => response.setHeader("X-Tokens-Used", "7"));
      parts.middleware(request, response);
      response.end("x");
    });
    await rawAnswer(server.port, GET("/", "Connection: close"));
    expect(parts.recorder.events[0]?.response?.headers).toEqual({ "x-tokens-used": "7" });
  });
});

describe("an answer that is complete before end()", () => {
  const complete: Record<string, Program> = {
    "a stated length, in one write": (response) => {
      response.setHeader("Content-Length", 4);
      response.write("fine");
    },
    "a stated length, in several writes": (response) => {
      writeHead(response, 200, { "content-length": "5" });
      response.write("fi");
      response.write(Buffer.from("n"));
      response.write("é");
    },
    "no body: 204": (response) => {
      response.statusCode = 204;
      response.flushHeaders();
    },
    "no body: 304": (response) => {
      writeHead(response, 304, { ETag: '"a"' });
      response.flushHeaders();
    },
    "a length of nothing": (response) => {
      response.setHeader("Content-Length", "0");
      response.flushHeaders();
    },
  };

  it.each(Object.entries(complete))("has its line before it leaves: %s", async (_, program) => {
    for (const durable of [false, true]) {
      const recorder = new ArrayRecorder({ durable });
      const parts = rig({}, { recorder });
      const linesAtWrite: number[] = [];
      const server = await serveForTest((request, response) => {
        const { socket } = request;
        const write = socket.write.bind(socket);
        socket.write = (...given: [string]) => {
          linesAtWrite.push(recorder.lines.length);
          return write(...given);
        };
        parts.middleware(request, response);
        program(response, request);
        expect(recorder.lines).toHaveLength(1);
        Reflect.get(request, "meter").add("late", 1);
        setImmediate(() => {
          response.end();
          recorder.waiting[0]?.();
        });
      });
      await rawAnswer(server.port, GET("/", "Connection: close"));
      expect(linesAtWrite.at(-1)).toBe(1);
      expect(recorder.lines).toHaveLength(1);
      expect(parts.errors).toMatchObject([{ at: "req.meter.add", error: { code: "METER_TRACK_INVALID" } }]);
    }
  });

  it("waits for end() where more may come", async () => {
    const parts = rig();
    const server = await serveForTest((request, response) => {
      parts.middleware(request, response);
      response.setHeader("Content-Length", 4);
      response.write("fin");
      expect(parts.recorder.lines).toHaveLength(0);
      expect(parts.capture.inFlight()).toBe(1);
      Reflect.get(request, "meter").add("tokens", 1);
      response.end("e");
    });
    await rawAnswer(server.port, GET("/", "Connection: close"));
    expect(parts.recorder.events[0]?.values).toEqual({ tokens: "1" });
    expect(parts.capture.inFlight()).toBe(0);
  });
});

describe("bytes that wait for the disk", () => {
  it("hold a pipeline together, and let all of it go", async () => {
    const recorder = new ArrayRecorder({ durable: true });
    const parts = rig({}, { recorder });
    const server = await serveForTest((request, response) => {
      parts.middleware(request, response);
      response.end(request.url);
    });
    const answer = rawAnswer(server.port, GET("/1") + GET("/2", "Connection: close"));
    await recorder.has(2);
    recorder.waiting[1]?.();
    recorder.waiting[0]?.();
    expect((await answer).match(/^\/\d/gm)).toEqual(["/1", "/2"]);
    expect(parts.recorder.amendments).toEqual([]);
  });

  it("go nowhere when the client has left meanwhile", async () => {
    const recorder = new ArrayRecorder({ durable: true });
    const parts = rig({}, { recorder });
    const server = await serveForTest((request, response) => {
      parts.middleware(request, response);
      response.end("fine");
    });
    const client = http.get(server.url, { agent: false });
    client.on("error", () => undefined);
    await recorder.has(1);
    client.socket?.resetAndDestroy();
    await new Promise((resolve) => client.once("close", resolve));
    recorder.waiting[0]?.();
    await recorder.has(2);
    expect(recorder.amendments).toMatchObject([{ closes: "end", aborted: true }]);
    expect(parts.capture.stats()).toMatchObject({ recorded: 1, aborted: 1, errors: 0 });
  });
});
