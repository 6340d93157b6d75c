import { canonicalJson } from "../contract/canonical-json.ts";
import { compileExpression, type Evaluate, type Scope, type Value } from "./evaluate.ts";
import type { Node } from "./expression.ts";

/**
 * A compiler whose equal expressions are one function that evaluates once per scope object: the groups of a source share keys and
 * columns. A scope must not change between uses.
 */
export function sharedCompiler(): (node: Node) => Evaluate {
  const known = new Map<string, Evaluate>();
  return (node) => {
    const key = canonicalJson(node);
    const found = known.get(key);
    if (found) return found;
    const evaluate = compileExpression(node);
    let lastScope: Scope | null = null;
    let lastValue: Value = null;
    const shared: Evaluate = (scope) => {
      if (scope !== lastScope) {
        lastValue = evaluate(scope);
        lastScope = scope;
      }
      return lastValue;
    };
    known.set(key, shared);
    return shared;
  };
}
