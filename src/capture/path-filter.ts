import { DEFAULT_EXCLUDE, type PathPattern } from "./options.ts";

/** Decides by path whether a request is metered: `exclude` wins over `include`. */
export type PathFilter = (path: string) => boolean;

/** Decides as routers match, for `include`: a path that only differs in case reaches the same handler, and is metered. */
export function pathFilter(
  include: readonly PathPattern[] | undefined,
  exclude: readonly PathPattern[] = DEFAULT_EXCLUDE,
): PathFilter {
  const included = include?.map((pattern) => pathTest(pattern, true));
  const excluded = exclude.map((pattern) => pathTest(pattern, false));
  return (path) =>
    !excluded.some((test) => test(path)) && (included === undefined || included.some((test) => test(path)));
}

function pathTest(pattern: PathPattern, isAnyCase: boolean): PathFilter {
  if (pattern instanceof RegExp) return regularTest(pattern);
  if (pattern.includes("*")) return regularTest(globExpression(pattern, isAnyCase ? "i" : ""));
  const whole = isAnyCase ? pattern.toLowerCase() : pattern;
  const prefix = whole.endsWith("/") ? whole.slice(0, -1) : whole;
  return (path) => {
    const sent = isAnyCase ? path.toLowerCase() : path;
    return sent === whole || sent === prefix || sent.startsWith(`${prefix}/`);
  };
}

function regularTest(pattern: RegExp): PathFilter {
  // With the flags g or y a pattern remembers where it stopped, and would miss every second request.
  const stateless = new RegExp(pattern.source, pattern.flags.replace(/[gy]/g, ""));
  return (path) => stateless.test(path);
}

/** `*` stays within a segment, `**` crosses them. */
function globExpression(glob: string, flags: string): RegExp {
  const source = glob
    .split(/(\*+)/)
    .map((part) =>
      part.startsWith("**") ? ".*" : part === "*" ? "[^/]*" : part.replace(/[.*+?^${}()|[\]\\]/g, "\\$&"),
    )
    .join("");
  return new RegExp(`^${source}$`, flags);
}
