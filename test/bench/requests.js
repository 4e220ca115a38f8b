/** Companies that the traffic comes from, in turn. */
export const COMPANIES = Array.from({ length: 200 }, (_, at) => `company-${String(at).padStart(3, "0")}`);

/** The server's own table: who a key belongs to. */
export const COMPANY_OF_KEY = new Map(COMPANIES.map((company) => [`Bearer key-of-${company}`, company]));

const REQUESTS = COMPANIES.map((company) =>
  Buffer.from(
    `GET /chat HTTP/1.1\r\nHost: 127.0.0.1\r\nUser-Agent: bench/1\r\nAccept: application/json\r\nAuthorization: Bearer key-of-${company}\r\nConnection: keep-alive\r\n\r\n`,
  ),
);

/** The request with this running number, as bytes. */
export function requestBytes(number) {
  return REQUESTS[number % REQUESTS.length];
}

/** What the chat API answers, as in the tutorial. */
export const ANSWER = {
  response:
    "Welcome aboard! I can help you set up your account, invite your team and send the first request. Where shall we start?",
};

let answers = 0;

/** The tokens that this answer cost: the header's value. */
export function tokensUsed() {
  answers = (answers + 1) % 1_000;
  return 20 + answers;
}

/** The seed's meter: the sum of a response header, on one route, of successful calls. */
export const CONFIG = {
  version: 1,
  meters: {
    chat_tokens: {
      name: "Chat tokens",
      unit: "token",
      match: { "request.route": "/chat", "response.status": 200 },
      aggregate: "sum",
      value: "response.headers.X-Tokens-Used",
    },
  },
};
