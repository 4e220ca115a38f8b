import type { IncomingMessage } from "node:http";

import { z } from "zod";

import { MeterbookError } from "../../core/errors.ts";
import type { Backend } from "../backend.ts";
import type { AnswerForm } from "../contract/answer-text.ts";
import { instantShown, instantText } from "../contract/instant.ts";
import { noQuery } from "../contract/listing.ts";
import { answerShown, questionBody, questionOf, questionQuery } from "../contract/question.ts";
import { inWireWords } from "../openmeter/wire-mistakes.ts";
import { route, type Caller, type Reply, type Route } from "../route.ts";
import { byId, byIdOrKey } from "./paths.ts";

const ANSWERS = {
  200: { description: "The usage.", schema: answerShown, contentTypes: ["application/json", "text/csv"] },
};

const progressShown = z
  .object({
    read: z.int(),
    total: z.int(),
    isDone: z.boolean(),
    startedAt: instantShown,
    updatedAt: instantShown,
  })
  .meta({ id: "QueryProgress" });

/** Asking meters for usage. */
export const queryRoutes: readonly Route[] = [
  route({
    method: "get",
    path: "/v1/meters/{idOrKey}/query",
    access: "token",
    tag: "usage",
    summary: "Ask for usage",
    description:
      "By window, customer, subject and label; `Accept: text/csv` gives a table. A customer's token sees its own.",
    params: byIdOrKey,
    query: questionQuery,
    answers: ANSWERS,
    reply: ({ backend, caller, params, query, request }) => ask(backend, caller, params.idOrKey, query, request),
  }),
  route({
    method: "post",
    path: "/v1/meters/{idOrKey}/query",
    access: "token",
    tag: "usage",
    summary: "Ask for usage, the question as a body",
    params: byIdOrKey,
    query: noQuery,
    body: questionBody,
    answers: ANSWERS,
    reply: ({ backend, caller, params, body, request }) => ask(backend, caller, params.idOrKey, body, request),
  }),
  route({
    method: "get",
    path: "/v1/queries/{id}",
    access: "read",
    tag: "usage",
    summary: "Ask how far a question is that reads events",
    params: byId,
    query: noQuery,
    answers: { 200: { description: "Its progress.", schema: progressShown } },
    reply: async ({ backend, params }) => {
      const progress = await backend.queryProgress(params);
      if (progress === null) throw new MeterbookError("METER_NOT_FOUND", "There is no such question.");
      const { startedAt, updatedAt, ...figures } = progress;
      const instants = { startedAt: instantText(startedAt), updatedAt: instantText(updatedAt) };
      return { status: 200, body: { ...figures, ...instants } };
    },
  }),
];

const CONTENT_TYPES: Readonly<Record<AnswerForm, string>> = {
  json: "application/json",
  csv: "text/csv; charset=utf-8; header=present",
};

/** Members of the engine's question that callers know by another name. */
const NAMES = { window: "windowSize", zone: "timeZone" };

async function ask(
  backend: Backend,
  caller: Caller,
  idOrKey: string,
  given: z.output<typeof questionBody>,
  { headers }: IncomingMessage,
): Promise<Reply> {
  const { customer } = caller;
  const meter = customer === null ? idOrKey : await visibleMeter(backend, customer, idOrKey);
  const question = questionOf(meter, customer === null ? given : ownPart(customer, given));
  const form = prefersCsv(headers.accept ?? "") ? "csv" : "json";
  const text = await inWireWords(NAMES, () => backend.writeAnswer({ question, form }));
  return { status: 200, body: text, contentType: CONTENT_TYPES[form] };
}

type Holder = NonNullable<Caller["customer"]>;

/** The key of a meter that a customer may see. What it may not see is not there. */
async function visibleMeter(backend: Backend, { meters }: Holder, idOrKey: string): Promise<string> {
  const { key } = await backend.getMeter({ idOrKey });
  if (meters !== null && !meters.includes(key)) throw notThere();
  return key;
}

/** The question about the customer alone. Whoever asks for another one learns nothing of it, not even that it exists. */
function ownPart({ id }: Holder, given: z.output<typeof questionBody>): z.output<typeof questionBody> {
  if (given.customers?.some((customer) => customer !== id) === true) throw notThere();
  const { progressId: _, ...question } = given;
  return { ...question, customers: [id] };
}

function notThere(): MeterbookError {
  return new MeterbookError("METER_NOT_FOUND", "There is nothing here.");
}

function prefersCsv(accept: string): boolean {
  const types = accept.split(",").map((part) => part.split(";")[0]?.trim().toLowerCase());
  const [csv, json] = [types.indexOf("text/csv"), types.indexOf("application/json")];
  return csv !== -1 && (json === -1 || csv < json);
}
