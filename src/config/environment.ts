import type { Report } from "./report.ts";
import { mapScalars, type Position, type ScalarNode, type SourceNode, type SourcePath } from "./source.ts";

/** Names → values, as `process.env` has them. */
export type Environment = Readonly<Record<string, string | undefined>>;

/**
 * Replaces `${VAR}`, `${VAR:-default}` and `${VAR:?message}` in texts, after parsing: what a variable holds can never
 * change the structure. As in a shell, `:-` and `:?` also take an empty variable for unset. `$${` stands for `${`.
 * A plain `${VAR}` that is not set is an error, except where `mayBeUnset` says so: there it is empty.
 */
export function substituteVariables(
  root: SourceNode,
  env: Environment,
  report: Report,
  mayBeUnset: (path: SourcePath) => boolean,
): SourceNode {
  return mapScalars(root, (scalar, path) => substituteScalar(scalar, path, env, report, mayBeUnset(path)));
}

const VARIABLE = /\$\$\{|\$\{([A-Za-z_][A-Za-z0-9_]*)(?:(:-|:\?)([^}]*))?\}|\$\{/g;

function substituteScalar(
  node: ScalarNode,
  path: SourcePath,
  env: Environment,
  report: Report,
  mayBeUnset: boolean,
): SourceNode {
  const { value } = node;
  if (typeof value !== "string" || !value.includes("${")) return node;
  let isBroken = false;
  const fault = (offset: number, message: string): string => {
    report.error({ path, at: shifted(node, offset), message });
    isBroken = true;
    return "";
  };
  const replaced = value.replaceAll(
    VARIABLE,
    (whole: string, name: string | undefined, mark: string | undefined, rest: string | undefined, offset: number) => {
      if (whole === "$${") return "${";
      if (name === undefined)
        return fault(
          offset,
          "`${` begins no variable such as ${VAR}, ${VAR:-default} or ${VAR:?message}; a literal ${ is written $${",
        );
      const held = Object.hasOwn(env, name) ? env[name] : undefined;
      if (held !== undefined && (held !== "" || mark === undefined)) return held;
      if (mark === ":-") return rest ?? "";
      if (mark === ":?")
        return fault(
          offset,
          `the environment variable ${name} is not set: ${rest === undefined || rest === "" ? "it is required" : rest}`,
        );
      if (!mayBeUnset)
        return fault(offset, `the environment variable ${name} is not set; write \${${name}:-…} to give a default`);
      return "";
    },
  );
  if (isBroken) return { kind: "broken", at: node.at };
  return { ...node, value: replaced, substituted: true, textAt: null };
}

/** The place of a character inside a text, or the text's own place where that is not known. */
export function shifted(node: ScalarNode, offset: number): Position | null {
  return node.textAt === null ? node.at : { line: node.textAt.line, column: node.textAt.column + offset };
}
