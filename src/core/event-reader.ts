import { compileExpression } from "./expression.ts";
import type { Expression, ExpressionResult } from "./expression.ts";
import { expressionView } from "./expression-view.ts";
import type { HoldReason, UsageEvent } from "./event.ts";
import { compilePath, PathError } from "./field-path.ts";
import type { FieldPath } from "./field-path.ts";
import { ownMember, owns } from "./own-member.ts";

/** A place whose value is not to be trusted for this event, and why. */
export interface ReadFault {
  readonly reason: HoldReason;
  readonly detail: string;
}

/** What a path or expression touches of an event, computed fields followed to what they read. */
export interface ReadScope {
  /** Names from the root, one list for each thing that is read. */
  readonly scopes: readonly (readonly string[])[];
  /** Computed fields among it. */
  readonly fields: readonly string[];
}

/**
 * Reads one event for all meters: each path once, each computed field once and only if somebody asks. Values stay in
 * numbered slots that a counter invalidates, so that the next event costs no clearing.
 */
export class EventReader {
  readonly #paths: FieldPath[] = [];
  readonly #fieldOfSlot: (string | null)[] = [];
  readonly #slots = new Map<string, number>();
  readonly #values: unknown[] = [];
  readonly #stamps: number[] = [];
  readonly #expressions: ReadonlyMap<string, Expression>;
  readonly #fieldsOf = new WeakMap<Expression, readonly string[]>();
  #results = new Map<string, ExpressionResult>();
  #fieldValues = noFieldValues();
  #view: object | null = null;
  #faults: readonly (readonly [readonly string[], HoldReason, string])[] = [];
  #event: UsageEvent = nothing;
  #stamp = 0;
  #leaderStamp = -1;

  /** Compiles the computed fields. Throws ExpressionError. */
  constructor(fields: Readonly<Record<string, string>>) {
    this.#expressions = new Map(Object.entries(fields).map(([name, text]) => [name, compileExpression(text)]));
  }

  get event(): UsageEvent {
    return this.#event;
  }

  /** Grows by one with each event: what was remembered under another number is stale. */
  get stamp(): number {
    return this.#stamp;
  }

  get hasFaults(): boolean {
    return this.#faults.length > 0;
  }

  /** The slot of a path. Throws PathError, also for a computed field that is not declared. */
  slotOf(text: string): number {
    const known = this.#slots.get(text);
    if (known !== undefined) return known;
    const path = compilePath(text);
    const field = this.#fieldNamed(path);
    const slot = this.#paths.push(path) - 1;
    this.#fieldOfSlot.push(field);
    this.#values.push(undefined);
    this.#stamps.push(-1);
    this.#slots.set(text, slot);
    return slot;
  }

  pathOf(slot: number): FieldPath {
    const path = this.#paths[slot];
    if (path === undefined) throw new RangeError(`expected a slot, received ${slot}`);
    return path;
  }

  /** Turns to the next event. */
  begin(event: UsageEvent): void {
    this.#event = event;
    this.#stamp += 1;
    const faults = ownMember(event, "faults");
    this.#faults = faults === undefined ? noFaults : faultsOf(faults);
    if (this.#expressions.size > 0 || this.#view !== null) this.#forget();
  }

  /** Turns to the event of another reader, once for each of its events. */
  follow(leader: EventReader): void {
    if (leader === this || this.#leaderStamp === leader.stamp) return;
    this.#leaderStamp = leader.stamp;
    this.begin(leader.event);
  }

  /** The value in a slot; undefined when it is absent or its computed field failed. */
  read(slot: number): unknown {
    if (this.#stamps[slot] === this.#stamp) return this.#values[slot];
    const value = this.#readNow(slot);
    this.#stamps[slot] = this.#stamp;
    this.#values[slot] = value;
    return value;
  }

  /** What an expression sees, with the computed fields that it names. */
  viewFor(expression: Expression): object {
    for (const name of this.#fieldsNamedBy(expression)) this.#evaluate(name);
    return (this.#view ??= expressionView(this.#event, this.#fieldValues));
  }

  /** What a path reads. */
  scopeOfPath(text: string): ReadScope {
    const slot = this.slotOf(text);
    const field = this.#fieldOfSlot[slot] ?? null;
    return field === null ? { scopes: [this.pathOf(slot).scope], fields: [] } : this.#scopeOfFields([field]);
  }

  /** What an expression reads. */
  scopeOfExpression(expression: Expression): ReadScope {
    const own = expression.reads.map((read) => compilePath(read).scope).filter(([root]) => root !== "fields");
    const { scopes, fields } = this.#scopeOfFields(this.#fieldsIn(expression.reads));
    return { scopes: [...own, ...scopes], fields };
  }

  /** Why what is read cannot be trusted: something of it was not captured, or a computed field failed. Null = it can. */
  faultIn(scope: ReadScope): ReadFault | null {
    for (const [place, reason, text] of this.#faults) {
      if (scope.scopes.some((names) => overlap(names, place))) return { reason, detail: faultSentence(text, reason) };
    }
    for (const name of scope.fields) {
      const result = this.#evaluate(name);
      if (result !== undefined && owns(result, "fault")) {
        return { reason: result.fault, detail: `fields.${name} failed: ${result.detail}` };
      }
    }
    return null;
  }

  #readNow(slot: number): unknown {
    const field = this.#fieldOfSlot[slot] ?? null;
    if (field === null) return this.pathOf(slot).read(this.#event);
    this.#evaluate(field);
    return this.pathOf(slot).read({ fields: this.#fieldValues });
  }

  #evaluate(name: string): ExpressionResult | undefined {
    const known = this.#results.get(name);
    if (known !== undefined) return known;
    const expression = this.#expressions.get(name);
    if (expression === undefined) return undefined;
    this.#view ??= expressionView(this.#event, this.#fieldValues);
    const result = expression.evaluate(this.#view);
    this.#results.set(name, result);
    if (owns(result, "value") && result.value !== undefined) this.#fieldValues[name] = result.value;
    return result;
  }

  #forget(): void {
    this.#view = null;
    if (this.#results.size === 0) return;
    this.#results = new Map();
    this.#fieldValues = noFieldValues();
  }

  #fieldNamed(path: FieldPath): string | null {
    if (path.segments?.[0] !== "fields") return null;
    const name = path.segments[1];
    if (name === undefined || !this.#expressions.has(name)) {
      throw new PathError(`${path.text}: no computed field has this name`, 0);
    }
    return name;
  }

  #fieldsNamedBy(expression: Expression): readonly string[] {
    const known = this.#fieldsOf.get(expression);
    if (known !== undefined) return known;
    const names = this.#fieldsIn(expression.reads);
    this.#fieldsOf.set(expression, names);
    return names;
  }

  #fieldsIn(reads: readonly string[]): readonly string[] {
    const names = reads.map((read) => compilePath(read).scope).filter(([root]) => root === "fields");
    if (names.some((scope) => scope.length === 1)) return [...this.#expressions.keys()];
    return names.flatMap((scope) => scope[1] ?? []);
  }

  #scopeOfFields(fields: readonly string[]): ReadScope {
    const reads = fields.flatMap((name) => this.#expressions.get(name)?.reads ?? []);
    return { scopes: reads.map((read) => compilePath(read).scope), fields };
  }
}

// Without a prototype, even a field that is called __proto__ is a field.
function noFieldValues(): Record<string, unknown> {
  return Object.setPrototypeOf({}, null);
}

const nothing: UsageEvent = { source: "", id: "", type: "", time: 0, company: null, user: null };
const noFaults: readonly never[] = [];

type Fault = readonly [readonly string[], HoldReason, string];

function faultsOf(faults: Readonly<Record<string, HoldReason>>): readonly Fault[] {
  return Object.entries(faults).map(([text, reason]) => [placeOf(text), reason, text]);
}

function placeOf(text: string): readonly string[] {
  try {
    return compilePath(text).scope;
  } catch {
    // A place that is no path is taken for one name, so that it still stands for itself.
    return [text];
  }
}

// A path over the whole event searches what was exchanged; that a hook for the user failed does not concern it.
const searched: ReadonlySet<string> = new Set(["request", "response", "metadata", "data", "values"]);

function overlap(names: readonly string[], place: readonly string[]): boolean {
  if (names.length === 0) return searched.has(place[0] ?? "");
  const shared = names.length < place.length ? names.length : place.length;
  for (let at = 0; at < shared; at += 1) if (names[at] !== place[at]) return false;
  return true;
}

function faultSentence(place: string, reason: HoldReason): string {
  const said = faultSentences[reason];
  return said === undefined ? `${place} could not be captured: ${reason}` : `${place} ${said}`;
}

const faultSentences: Readonly<Partial<Record<HoldReason, string>>> = {
  body_too_large: "is larger than what is read",
  body_not_json: "is not JSON",
  invalid_record: "is not as the guide wants it",
  missing_value: "is missing",
  not_a_number: "is not a number",
  negative_value: "is negative",
  bad_timestamp: "is no instant",
  no_meter: "has no meter for the record",
  inactive: "is outside of what the meters take",
};
