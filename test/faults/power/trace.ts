/** One system call as strace wrote it down: -f -y -xx, so that every text in it is hexadecimal. */
export interface TracedCall {
  readonly name: string;
  readonly words: string;
  readonly result: number;
  /** Lines of the trace at which it began and ended; equal when nothing came between. */
  readonly begun: number;
  readonly ended: number;
}

const WHOLE = /^(\d+)\s+(\w+)\((.*)\)\s+= (-?\d+)/;
const BEGUN = /^(\d+)\s+(\w+)\((.*) <unfinished \.\.\.>$/;
const ENDED = /^(\d+)\s+<\.\.\. (\w+) resumed>.*\)\s+= (-?\d+)/;

/** The calls of a trace in the order in which they began; those that failed or never came back are left out. */
export function parseTrace(text: string): readonly TracedCall[] {
  const calls: TracedCall[] = [];
  const open = new Map<string, Pick<TracedCall, "name" | "words" | "begun">>();
  for (const [line, written] of text.split("\n").entries()) {
    const whole = WHOLE.exec(written);
    if (whole !== null) {
      const [, , name = "", words = "", result] = whole;
      calls.push({ name, words, result: Number(result), begun: line, ended: line });
      continue;
    }
    const begun = BEGUN.exec(written);
    if (begun !== null) {
      const [, thread = "", name = "", words = ""] = begun;
      open.set(thread, { name, words, begun: line });
      continue;
    }
    const ended = ENDED.exec(written);
    const call = open.get(ended?.[1] ?? "");
    if (ended !== null && call !== undefined) calls.push({ ...call, result: Number(ended[3]), ended: line });
  }
  return calls.filter(({ result }) => result >= 0).toSorted((a, b) => a.begun - b.begun);
}

const TEXT = /"((?:\\x[0-9a-f]{2})*)"/g;

/** The quoted texts among a call's words, as bytes. */
export function textsOf(words: string): readonly Buffer[] {
  return [...words.matchAll(TEXT)].map(([, hex = ""]) => Buffer.from(hex.replaceAll("\\x", ""), "hex"));
}

/** The file descriptor that a call begins with, and the path that the kernel gave for it. */
export function descriptorOf(words: string): { readonly fd: number; readonly path: string } | null {
  const match = /^(\d+)<((?:\\x[0-9a-f]{2})*)>/.exec(words);
  if (match === null) return null;
  return { fd: Number(match[1]), path: Buffer.from((match[2] ?? "").replaceAll("\\x", ""), "hex").toString() };
}

/** The number that a call's words end with. */
export function lastNumber(words: string): number {
  return Number(/(\d+)$/.exec(words)?.[1]);
}
