import type { MeterAnswer, MeterRow } from "../../engine/usage/meter-question.ts";
import { csvAnswer } from "./csv-answer.ts";
import { instantText, instantTexts } from "./instant-text.ts";

/** How an answer is written: the native API's JSON, or a table. */
export type AnswerForm = "json" | "csv";

/**
 * The text of an answer. It is written where the question was answered, so that a thread hands over one text instead of
 * thousands of rows; nothing here loads the schemas.
 */
export function answerText(answer: MeterAnswer, form: AnswerForm): string {
  return form === "csv" ? csvAnswer(answer) : jsonAnswer(answer);
}

/** Rows of one window follow one another, and those of one group share it: such texts are made once. */
function jsonAnswer({ meter, from, to, rows, eventsRead }: MeterAnswer): string {
  const groups = new Map<MeterRow["group"], string>();
  const instants = instantTexts();
  const written = rows.map((row) => {
    let group = groups.get(row.group);
    if (group === undefined) {
      group = JSON.stringify(row.group);
      groups.set(row.group, group);
    }
    const { value, events, subject, customer } = row;
    // Figures are digits, points and signs alone, as are instants: nothing in them needs escaping.
    const figure = value === null ? "null" : `"${value}"`;
    return `{"from":"${instants(row.from)}","to":"${instants(row.to)}","value":${figure},"events":${events},"subject":${JSON.stringify(subject)},"customer":${JSON.stringify(customer)},"group":${group}}`;
  });
  const head = { meter, from: instantText(from), to: instantText(to), eventsRead };
  return `${JSON.stringify(head).slice(0, -1)},"data":[${written.join(",")}],"next":null}`;
}
