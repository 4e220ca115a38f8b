import { EventReader } from "./event-reader.ts";
import { LineBook } from "./match-line.ts";
import type { MeterVersion } from "./meter.ts";
import { readsAllFields } from "./meter-versions.ts";

/** What versions that agree on the texts of their computed fields share: paths and lines are read once for all of them. */
interface FieldReader {
  readonly reader: EventReader;
  readonly book: LineBook;
}

/**
 * The readers of a catalog. A version sees each field by the text it had when the version was made; versions share a
 * reader as long as no name has two texts. So their number grows with the edits of one field, not with the meters.
 */
interface FieldReaders {
  of(version: MeterVersion): FieldReader;
  /** Turned to each event first; the others follow when one of their versions is asked. */
  readonly leader: EventReader;
}

/** Groups versions into readers, those given first into the first. Versions without fields of their own use `fields`. */
export function fieldReaders(
  versions: readonly MeterVersion[],
  fields: Readonly<Record<string, string>>,
): FieldReaders {
  const groups: Group[] = [];
  const groupOf = new Map<MeterVersion, Group>();
  for (const version of versions) {
    const own = new Map(Object.entries(version.fields ?? fields));
    // Whoever looks at all fields must not see those of others.
    const isAlone = version.fields === undefined || readsAllFields(version.definition);
    const group = groups.find((each) => (isAlone ? each.isAlone && isSame(each.texts, own) : agrees(each, own)));
    if (group === undefined) {
      const made = { texts: own, isAlone };
      groups.push(made);
      groupOf.set(version, made);
    } else {
      for (const [name, text] of own) group.texts.set(name, text);
      groupOf.set(version, group);
    }
  }
  const readers = new Map(groups.map((group) => [group, readerOf(Object.fromEntries(group.texts))]));
  const spare = readerOf(groups.length === 0 ? fields : {});
  const at = (group: Group | undefined): FieldReader => (group === undefined ? undefined : readers.get(group)) ?? spare;
  return { of: (version) => at(groupOf.get(version)), leader: at(groups[0]).reader };
}

interface Group {
  readonly texts: Map<string, string>;
  readonly isAlone: boolean;
}

function readerOf(fields: Readonly<Record<string, string>>): FieldReader {
  const reader = new EventReader(fields);
  return { reader, book: new LineBook(reader) };
}

function isSame(a: ReadonlyMap<string, string>, b: ReadonlyMap<string, string>): boolean {
  return a.size === b.size && [...b].every(([name, text]) => a.get(name) === text);
}

function agrees({ texts, isAlone }: Group, fields: ReadonlyMap<string, string>): boolean {
  return !isAlone && [...fields].every(([name, text]) => (texts.get(name) ?? text) === text);
}
