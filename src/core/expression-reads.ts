import type { ASTNode } from "@marcbachmann/cel-js";
import { foldHeaderName, isHeaderPath, pathText } from "./field-path.ts";
import { owns } from "./own-member.ts";

/** What a walk over an expression found. */
export interface ExpressionUse {
  /** Root-relative paths that it reads, as far as its text tells; a whole root where a name is computed. */
  readonly reads: readonly string[];
  /** Functions and methods it calls, with their place and, where it is a literal, the text of the last argument. */
  readonly calls: readonly { readonly name: string; readonly offset: number; readonly literal: string | null }[];
  /** A header name with upper-case letters: stored names are lower case, so it would never be there. */
  readonly upperCaseHeader: { readonly name: string; readonly offset: number } | null;
}

/** Walks an expression's tree. Loop variables are no roots and are left out; what they loop over is read whole. */
export function expressionUse(root: ASTNode, roots: ReadonlySet<string>): ExpressionUse {
  const reads = new Set<string>();
  const calls: ExpressionUse["calls"][number][] = [];
  let upperCaseHeader: ExpressionUse["upperCaseHeader"] = null;

  const visit = (node: ASTNode): void => {
    const chain = chainOf(node);
    if (chain !== null) {
      if (roots.has(chain.segments[0] ?? "")) {
        const folded = foldHeaderName(chain.segments);
        if (isHeaderPath(folded) && folded[2] !== chain.segments[2]) {
          upperCaseHeader ??= { name: chain.segments[2] ?? "", offset: node.start };
        }
        reads.add(pathText(folded));
      }
      chain.computed.forEach(visit);
      return;
    }
    if (node.op === "call" || node.op === "rcall") {
      const parameters = node.op === "call" ? node.args[1] : node.args[2];
      calls.push({ name: node.args[0], offset: node.start, literal: literalText(parameters.at(-1)) });
    }
    childrenOf(node).forEach(visit);
  };
  visit(root);
  return { reads: [...reads].toSorted(), calls, upperCaseHeader };
}

interface Chain {
  readonly segments: readonly string[];
  /** Parts of the chain that are computed: `a[b.c]` also reads b.c. */
  readonly computed: readonly ASTNode[];
}

function chainOf(node: ASTNode): Chain | null {
  if (node.op === "id") return { segments: [node.args], computed: [] };
  if (node.op === "." || node.op === ".?") return extended(node.args[0], node.args[1], null);
  if (node.op === "[]" || node.op === "[?]") return extended(node.args[0], literalKey(node.args[1]), node.args[1]);
  return null;
}

// After a computed name nothing more is known: the chain ends before it, with the computed part kept to be visited.
function extended(left: ASTNode, name: string | null, computedBy: ASTNode | null): Chain | null {
  const chain = chainOf(left);
  if (chain === null) return null;
  if (chain.computed.length > 0) return computedBy === null || name !== null ? chain : withComputed(chain, computedBy);
  if (name !== null) return { segments: [...chain.segments, name], computed: [] };
  return computedBy === null ? chain : withComputed(chain, computedBy);
}

function withComputed(chain: Chain, node: ASTNode): Chain {
  return { segments: chain.segments, computed: [...chain.computed, node] };
}

function literalKey(node: ASTNode): string | null {
  if (node.op !== "value") return null;
  return typeof node.args === "string" || typeof node.args === "bigint" ? String(node.args) : null;
}

function literalText(node: ASTNode | undefined): string | null {
  return node !== undefined && node.op === "value" && typeof node.args === "string" ? node.args : null;
}

function childrenOf(node: ASTNode): readonly ASTNode[] {
  return nodesIn(node.args);
}

function nodesIn(value: unknown): readonly ASTNode[] {
  if (Array.isArray(value)) return value.flatMap(nodesIn);
  return isNode(value) ? [value] : [];
}

function isNode(value: unknown): value is ASTNode {
  return (
    typeof value === "object" && value !== null && owns(value, "op") && owns(value, "args") && owns(value, "start")
  );
}
