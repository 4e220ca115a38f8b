// @ts-check

/** Who each API key belongs to. A real API asks its database; a client never says by itself who pays. */
const ACCOUNTS = new Map([
  ["my-chat-key", { company: "my-chat-company", user: "my-chat-user" }],
  ["key_acme", { company: "acme-inc", user: "ada" }],
  ["key_globex", { company: "globex", user: "grace" }],
  ["key_initech", { company: "initech", user: "peter" }],
]);

/**
 * Finds the account of `Authorization: Bearer <key>`. An unknown key is refused; no key at all is let in, as an open
 * trial would: such calls are kept and held until somebody says who pays.
 * @type {import("express").RequestHandler}
 */
export function authenticate(req, res, next) {
  const key = req.get("authorization")?.replace(/^Bearer /i, "");
  const account = ACCOUNTS.get(key ?? "");
  if (key !== undefined && account === undefined) {
    res.status(401).json({ error: "Unknown API key." });
    return;
  }
  Object.assign(req, { user: account });
  next();
}

/** @param {{ readonly user?: unknown }} req */
export function companyOf(req) {
  return accountOf(req)?.company;
}

/** @param {{ readonly user?: unknown }} req */
export function userOf(req) {
  return accountOf(req)?.user;
}

/**
 * What `authenticate` left behind.
 * @param {{ readonly user?: unknown }} req
 */
function accountOf({ user }) {
  return [...ACCOUNTS.values()].find((account) => account === user);
}
