/** A decoded form: `a[b][0]=x` is `{a: {b: {"0": "x"}}}`. Lists stay maps with number keys, as only their reader knows. */
export interface FormTree {
  readonly [key: string]: FormValue;
}
export type FormValue = string | FormTree;

interface MutableTree {
  [key: string]: string | MutableTree;
}

/** Decodes a form body or query with brackets; null when it is malformed. A later value replaces an earlier one. */
export function decodeForm(text: string): FormTree | null {
  const root = emptyTree();
  for (const pair of text.split("&")) {
    if (pair === "") {
      continue;
    }
    const equals = pair.indexOf("=");
    const key = decodePart(equals < 0 ? pair : pair.slice(0, equals));
    const value = decodePart(equals < 0 ? "" : pair.slice(equals + 1));
    const path = key === null ? null : keyPath(key);
    if (path === null || value === null) {
      return null;
    }
    put(root, path, value);
  }
  return root;
}

/** Decodes a JSON body into the same shape as a form: scalars are texts, lists maps with number keys, null is absent. */
export function decodeJson(text: string): FormTree | null {
  try {
    const body: unknown = text === "" ? {} : JSON.parse(text);
    return typeof body === "object" && body !== null && !Array.isArray(body) ? treeOf(body) : null;
  } catch {
    return null;
  }
}

/** The members of a list in their order. */
export function listMembers(tree: FormTree): readonly FormValue[] {
  return Object.entries(tree)
    .toSorted(([a], [b]) => Number(a) - Number(b))
    .map(([, value]) => value);
}

function emptyTree(): MutableTree {
  // No prototype: a parameter called __proto__ is a parameter like any other.
  const tree: MutableTree = Object.create(null);
  return tree;
}

function treeOf(body: object): MutableTree {
  const tree = emptyTree();
  for (const [key, value] of Object.entries<unknown>({ ...body })) {
    if (typeof value === "object" && value !== null) {
      tree[key] = treeOf(value);
    } else if (value !== null) {
      tree[key] = typeof value === "string" ? value : JSON.stringify(value);
    }
  }
  return tree;
}

function decodePart(text: string): string | null {
  try {
    return decodeURIComponent(text.replaceAll("+", " "));
  } catch {
    return null;
  }
}

function keyPath(key: string): readonly string[] | null {
  const bracket = key.indexOf("[");
  if (bracket < 0) {
    return [key];
  }
  const tail = key.slice(bracket);
  if (bracket === 0 || !/^(?:\[[^[\]]*\])+$/.test(tail)) {
    return null;
  }
  return [key.slice(0, bracket), ...tail.slice(1, -1).split("][")];
}

function put(root: MutableTree, path: readonly string[], value: string): void {
  let tree = root;
  for (const [depth, part] of path.entries()) {
    const key = part === "" ? String(Object.keys(tree).length) : part;
    if (depth === path.length - 1) {
      tree[key] = value;
      return;
    }
    const below = tree[key];
    const next = typeof below === "object" ? below : emptyTree();
    tree[key] = next;
    tree = next;
  }
}
