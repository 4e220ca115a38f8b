import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { dirname, join, relative, resolve } from "node:path";

import { describe, expect, it } from "vitest";

const root = resolve(import.meta.dirname, "..");
const src = join(root, "src");

/** The layer table of src/README.md: folder → what it may import. A folder that is not here fails the test. */
const LAYERS: Record<string, { folders: string[]; packages: string[]; node: RegExp }> = {
  core: {
    folders: ["core"],
    packages: ["jsonpath-plus", "@marcbachmann/cel-js", "re2js", "temporal-polyfill", "croner"],
    node: /^$/,
  },
  config: { folders: ["core", "config"], packages: ["zod", "yaml"], node: /^$/ },
  engine: { folders: ["core", "config/settings", "engine"], packages: [], node: /^node:crypto$/ },
  journal: { folders: ["core", "engine/ports", "engine/limits", "journal"], packages: [], node: /^node:/ },
  memory: { folders: ["core", "engine/ports", "engine/limits", "memory"], packages: [], node: /^$/ },
  sqlite: {
    folders: ["core", "engine/ports", "engine/limits", "sqlite"],
    packages: ["better-sqlite3"],
    node: /^node:/,
  },
  stripe: {
    folders: ["core", "engine/ports", "engine/limits", "config/settings", "stripe"],
    packages: ["stripe"],
    node: /^node:/,
  },
  capture: {
    folders: ["core", "engine/limits", "engine/ports", "config/settings", "capture"],
    packages: ["on-headers"],
    node: /^node:/,
  },
  express: {
    folders: ["core", "config", "engine", "capture", "journal", "express"],
    packages: ["express"],
    node: /^node:/,
  },
  testing: { folders: ["core", "config", "engine", "capture", "journal", "testing"], packages: [], node: /^node:/ },
  server: {
    folders: ["core", "config", "engine", "capture", "journal", "server"],
    packages: ["express", "zod"],
    node: /^node:/,
  },
  client: { folders: ["client"], packages: [], node: /^$/ },
  // The journal on disk is for Node alone; the client beside it runs everywhere, and does not know it.
  "client/node": { folders: ["core", "engine/ports", "journal", "client"], packages: [], node: /^node:/ },
  runtime: { folders: ["*"], packages: ["pino", "prom-client", "hyparquet-writer"], node: /^node:/ },
  cli: { folders: ["*"], packages: ["commander", "picocolors", "yaml", "pino"], node: /^node:/ },
  "index.ts": { folders: ["*"], packages: [], node: /^node:/ },
};

/** The rooms of src/engine, each with those it may import; what lies beside them (ports, limits, rows) is every room's. */
const ROOMS: Record<string, string[]> = {
  registry: [],
  ingest: [],
  intake: ["ingest", "registry"],
  outbox: ["ingest"],
  usage: ["ingest", "outbox", "registry"],
  delivery: ["outbox"],
  reconciliation: ["delivery", "outbox"],
  books: ["ingest", "outbox", "reconciliation"],
  corrections: ["books", "delivery", "ingest", "outbox", "reconciliation", "usage"],
  meters: ["books", "corrections", "ingest", "registry", "usage"],
  periods: ["corrections", "ingest", "intake", "registry", "usage"],
};

/** Words of disk, clock, network, randomness and binary floats that a pure folder must not contain. */
const IMPURE =
  /\b(Date\.now|new Date\(\)|Math\.random|parseFloat|setTimeout|setInterval|process\.|console\.|fetch\(|randomUUID)|\.toFixed\(|\bNumber\(/;
const PURE = ["core", "config"];

function sources(folder: string): string[] {
  return readdirSync(folder).flatMap((name) => {
    const path = join(folder, name);
    if (statSync(path).isDirectory()) return sources(path);
    return path.endsWith(".ts") ? [path] : [];
  });
}

const files = sources(src).map((path) => ({ path, name: relative(src, path), text: readFileSync(path, "utf8") }));
const withoutComments = (text: string): string =>
  text.replace(/\/\*[\s\S]*?\*\//g, "").replace(/(^|\s)\/\/.*$/gm, "$1");

const IMPORT =
  /^(?:import|export)\s+(?:type\s+)?(?:\*(?:\s+as\s+\w+)?|[\w$]+(?:\s*,\s*\{[^}]*\})?|\{[^}]*\})\s+from\s+["']([^"'\n]+)["']|^import\s+["']([^"'\n]+)["']|\bimport\(\s*["']([^"'\n]+)["']\s*\)/gm;

function imports(text: string): string[] {
  return [...withoutComments(text).matchAll(IMPORT)].map((match) => match[1] ?? match[2] ?? match[3] ?? "");
}

/** The layer of a file: its top folder, or its own name directly under src; a folder with a row of its own is one. */
const layerOf = (name: string): string =>
  name.startsWith("client/node/") ? "client/node" : (name.split("/")[0] ?? name);

function allowed(from: string, target: string): boolean {
  const layer = LAYERS[layerOf(from)];
  if (layer === undefined) return false;
  if (layerOf(target) === "client/node" && layerOf(from) === "client") return false;
  return layer.folders.some((folder) => folder === "*" || target === `${folder}.ts` || target.startsWith(`${folder}/`));
}

describe("the house", () => {
  it("has no folder that the layer table does not know", () => {
    const unknown = readdirSync(src).filter((name) => !name.endsWith(".md") && !(name in LAYERS));
    expect(unknown).toEqual([]);
    expect(files.length).toBeGreaterThan(30);
  });

  it("lets arrows point only where the layer table allows", () => {
    const wrong = files.flatMap(({ path, name, text }) =>
      imports(text).flatMap((specifier) => {
        if (specifier.startsWith(".")) {
          const target = relative(src, resolve(dirname(path), specifier));
          return allowed(name, target) ? [] : [`${name} imports ${target}`];
        }
        const layer = LAYERS[layerOf(name)];
        if (specifier.startsWith("node:"))
          return layer?.node.test(specifier) || name === "config/write-schema.ts"
            ? []
            : [`${name} imports ${specifier}`];
        const packageName = specifier
          .split("/")
          .slice(0, specifier.startsWith("@") ? 2 : 1)
          .join("/");
        return layer?.packages.includes(packageName) ? [] : [`${name} imports ${specifier}`];
      }),
    );
    expect(wrong).toEqual([]);
  });

  it("lets the rooms of the engine import only the rooms before them", () => {
    const inEngine = files.filter(({ name }) => name.startsWith("engine/"));
    const rooms = new Set(inEngine.map(({ name }) => name.split("/")).flatMap((parts) => parts.slice(1, -1)));
    expect([...rooms].toSorted()).toEqual(Object.keys(ROOMS).toSorted());
    const wrong = inEngine.flatMap(({ path, name, text }) => {
      const room = name.split("/").at(-2) ?? "";
      return imports(text)
        .filter((specifier) => specifier.startsWith("."))
        .map((specifier) => relative(join(src, "engine"), resolve(dirname(path), specifier)))
        .filter((target) => target.includes("/") && !target.startsWith("..") && !target.startsWith(`${room}/`))
        .filter((target) => !(ROOMS[room] ?? []).includes(target.split("/")[0] ?? ""))
        .map((target) => `${name} imports ${target}`);
    });
    expect(wrong).toEqual([]);
  });

  it("keeps disk, clock, network, randomness and floats out of the pure folders", () => {
    const impure = files
      .filter(({ name }) => PURE.includes(layerOf(name)) && name !== "config/write-schema.ts")
      .flatMap(({ name, text }) => {
        const found = IMPURE.exec(withoutComments(text));
        return found === null ? [] : [`${name}: ${found[0]}`];
      });
    expect(impure).toEqual([]);
  });

  it("sees every form of import", () => {
    const text =
      'import a from "./a.ts";\nimport type { B } from "./b.ts";\nexport {\n  c,\n} from "./c.ts";\nimport "./d.ts";\nawait import("./e.ts");\nexport * from "./f.ts";\nconst g = "from ./g.ts";\n';
    expect(imports(text)).toEqual(["./a.ts", "./b.ts", "./c.ts", "./d.ts", "./e.ts", "./f.ts"]);
  });

  it("has no import circle", () => {
    const graph = new Map(
      files.map(({ path, text }) => [
        path,
        imports(text.replace(/import type [^;]*;/g, ""))
          .filter((specifier) => specifier.startsWith("."))
          .map((specifier) => resolve(dirname(path), specifier)),
      ]),
    );
    const circles: string[] = [];
    const visit = (path: string, trail: readonly string[]): void => {
      if (trail.includes(path)) {
        circles.push([...trail.slice(trail.indexOf(path)), path].map((step) => relative(src, step)).join(" → "));
        return;
      }
      for (const next of graph.get(path) ?? []) visit(next, [...trail, path]);
      graph.set(path, []);
    };
    for (const path of graph.keys()) visit(path, []);
    expect(circles).toEqual([]);
  });

  it("keeps files under 400 lines and functions at most 70", () => {
    const long = files.filter(({ text }) => text.split("\n").length > 400).map(({ name }) => name);
    const tall = files.flatMap(({ name, text }) => tallFunctions(name, text));
    expect(long).toEqual([]);
    expect(tall).toEqual([]);
  });

  it("publishes each subpath as the folder of the same name", () => {
    const { exports } = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as {
      exports: Record<string, { default?: string }>;
    };
    const folders = Object.entries(exports).filter(([subpath]) => subpath !== "." && !subpath.endsWith(".json"));
    expect(folders.map(([subpath, target]) => `${subpath} ${target.default}`)).toEqual(
      folders.map(([subpath]) => `${subpath} ./dist/${subpath.slice(2)}/index.js`),
    );
  });

  it("has a map that names only what is there", () => {
    const map = readFileSync(join(src, "README.md"), "utf8");
    const named = [...map.matchAll(/`((?:src|test)\/[\w./-]+\.\w+)`/g)].map((match) => match[1] ?? "");
    const linked = [...map.matchAll(/\]\(([\w./-]+)\)/g)].map((match) => join("src", match[1] ?? ""));
    expect(named.length).toBeGreaterThan(15);
    expect([...named, ...linked].filter((path) => !existsSync(join(root, path)))).toEqual([]);
    for (const folder of readdirSync(src).filter((name) => !name.includes("."))) expect(map).toContain(`\`${folder}\``);
  });

  it("uses no vague file names", () => {
    expect(
      files.filter(({ name }) => /(^|\/)(utils?|helpers?|common|types|manager|service)(\.ts|\/)/.test(name)),
    ).toEqual([]);
  });
});

/** Functions by the formatter's own layout: a header line, and a closing brace at the header's indentation. */
function tallFunctions(name: string, text: string): string[] {
  const lines = text.split("\n");
  return lines.flatMap((line, at) => {
    const header =
      /^(\s*)(export )?(async )?(function\b|(?!(if|for|while|switch|return|catch|else)\b)[\w.]+\(.*\).*\{$|(const|private|static|readonly)?.*=> \{$)/.exec(
        line,
      );
    if (header === null) return [];
    const end = lines.findIndex(
      (candidate, index) =>
        index > at && candidate.startsWith(`${header[1]}}`) && !/^\s*\} (else|catch|finally)/.test(candidate),
    );
    const height = end === -1 ? 0 : end - at + 1;
    // A factory that only lays out its methods is as tall as the sum of them; each of those is measured by itself.
    return height > 70 &&
      !/^(export )?(async )?function \w+\(.*\): .*(Store|Capture|Journal|Drain|LocalStripe|Reporter)\b/.test(
        line.trim(),
      )
      ? [`${name}:${at + 1} ${height} lines`]
      : [];
  });
}
