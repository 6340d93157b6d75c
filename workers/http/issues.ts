import type { z } from "zod";
import type { Issue } from "../../models/contract/errors.ts";

/**
 * What is wrong, field by field, with JSON Pointers. Of a union the branch that came closest is reported, so that a wrong amount
 * in an inline order names the amount and not "invalid input".
 */
export function issuesOf(error: z.core.$ZodError): Issue[] {
  return error.issues.flatMap((issue) => flatten(issue, []));
}

function flatten(issue: z.core.$ZodIssue, prefix: readonly PropertyKey[]): Issue[] {
  const path = [...prefix, ...issue.path];
  if (issue.code === "invalid_union" && issue.errors.length > 0) {
    const branches = issue.errors.map((branch) => branch.flatMap((inner) => flatten(inner, path)));
    return branches.reduce((best, branch) => (distance(branch) < distance(best) ? branch : best));
  }
  if (issue.code === "unrecognized_keys") {
    return issue.keys.map((key) => ({ path: pointer([...path, key]), message: "unknown field" }));
  }
  return [{ path: pointer(path), message: issue.message }];
}

/** Missing and unknown top-level fields mean the wrong branch of a union; errors deep inside mean the right one. */
function distance(branch: readonly Issue[]): number {
  const deepest = Math.max(0, ...branch.map((issue) => issue.path.split("/").length));
  return branch.length - deepest * 100;
}

/** RFC 6901. */
function pointer(path: readonly PropertyKey[]): string {
  return path.map((part) => `/${String(part).replaceAll("~", "~0").replaceAll("/", "~1")}`).join("");
}
