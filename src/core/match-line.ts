import type { EventReader, ReadFault, ReadScope } from "./event-reader.ts";
import { compileExpression } from "./expression.ts";
import { compileFilter, filterReads } from "./filter.ts";
import type { CompiledFilter, Filter, FilterSource } from "./filter.ts";
import { owns } from "./own-member.ts";

/** How one line of `match` came out for an event. A line that reads what could not be captured is undecided. */
type LineState = "holds" | "fails" | "undecided";

/** One line of `match`, shared by all meters that state it and decided once per event. */
export interface MatchLine {
  state(): LineState;
  /** Why it fails, in words. */
  failure(): string;
  /** Why it is undecided. */
  fault(): ReadFault | null;
}

/** Makes the lines of a catalog; equal filters give the same line. */
export class LineBook {
  readonly #reader: EventReader;
  readonly #lines = new Map<string, MatchLine>();
  readonly #source: FilterSource;

  constructor(reader: EventReader) {
    this.#reader = reader;
    this.#source = {
      reader(path) {
        const slot = reader.slotOf(path);
        return () => reader.read(slot);
      },
      view: (_event, expression) => reader.viewFor(expression),
    };
  }

  /** Throws PathError, FilterError or ExpressionError. */
  line(filter: Filter): MatchLine {
    const key = canonicalFilter(filter);
    const known = this.#lines.get(key);
    if (known !== undefined) return known;
    const made = memoised(this.#reader, compileFilter(filter, this.#source), this.#scopeOf(filter));
    this.#lines.set(key, made);
    return made;
  }

  #scopeOf(filter: Filter): ReadScope {
    const { paths, expressions } = filterReads(filter);
    const scopes = [
      ...paths.map((path) => this.#reader.scopeOfPath(path)),
      ...expressions.map((text) => this.#reader.scopeOfExpression(compileExpression(text, "condition"))),
    ];
    return { scopes: scopes.flatMap((scope) => scope.scopes), fields: scopes.flatMap((scope) => scope.fields) };
  }
}

/** One text for filters of one meaning, whatever the order of their keys. */
export function canonicalFilter(filter: Filter): string {
  if (owns(filter, "path")) return JSON.stringify([filter.path, filter.op, filter.value]);
  if (owns(filter, "and")) return JSON.stringify(["and", ...filter.and.map(canonicalFilter)]);
  if (owns(filter, "or")) return JSON.stringify(["or", ...filter.or.map(canonicalFilter)]);
  if (owns(filter, "not")) return JSON.stringify(["not", canonicalFilter(filter.not)]);
  return JSON.stringify(["cel", filter.cel]);
}

function memoised(reader: EventReader, filter: CompiledFilter, scope: ReadScope): MatchLine {
  let stamp = -1;
  let state: LineState = "fails";
  const canFault = scope.fields.length > 0;
  const decide = (): LineState => {
    if ((canFault || reader.hasFaults) && reader.faultIn(scope) !== null) return "undecided";
    return filter.test(reader.event) ? "holds" : "fails";
  };
  return {
    state() {
      if (stamp !== reader.stamp) {
        state = decide();
        stamp = reader.stamp;
      }
      return state;
    },
    failure: () => filter.failure(reader.event),
    fault: () => reader.faultIn(scope),
  };
}
