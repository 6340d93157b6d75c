import { requestPaths } from "../../models/features/compile-service.ts";
import type { SourceDefinition } from "../../models/features/definition.ts";
import type { Node } from "../../models/features/expression.ts";
import type { BuildPlan } from "./build-plan.ts";

/** Members that are needed of an object, by the length of their names; of a whole one, everything. */
export interface PathTree {
  readonly name: string;
  isWhole: boolean;
  readonly byLength: (PathTree[] | undefined)[];
}

export function emptyTree(name: string): PathTree {
  return { name, isWhole: false, byLength: [] };
}

/** Adds a path; "" is the object itself. */
export function addPath(tree: PathTree, path: string): void {
  let at = tree;
  for (const step of path === "" ? [] : path.split(".")) {
    const candidates = (at.byLength[step.length] ??= []);
    let next = candidates.find((candidate) => candidate.name === step);
    if (!next) {
      next = emptyTree(step);
      candidates.push(next);
    }
    at = next;
  }
  at.isWhole = true;
}

/** What a build needs of every event besides its data. */
export const EVENT_MEMBERS = ["type", "source", "id", "time", "ingestedAt", "data"] as const;

/** What the definitions of a build read inside `data`, by event type. Types that nothing reads are not in the map. */
export function neededPaths(plan: BuildPlan, label: SourceDefinition): Map<string, PathTree> {
  const { definition } = plan.service;
  const trees = new Map<string, PathTree>();
  const add = (type: string, root: string, paths: readonly string[]): void => {
    const tree = trees.get(type) ?? emptyTree("data");
    trees.set(type, tree);
    for (const path of paths) addPath(tree, [root, path].filter((part) => part !== "").join("."));
  };
  const addSource = (source: SourceDefinition, nodes: readonly Node[]): void => {
    const own = [source.identity, source.time, source.where].filter((node) => node !== null);
    // Facts of a list read elements and their parent: of those, everything is kept.
    const paths = source.each === null ? [...own, ...nodes].flatMap(requestPaths) : [""];
    for (const { type, root } of source.events) add(type, root, paths);
  };
  addSource(label, []);
  addSource(definition.request, [
    ...definition.entities.map(({ key }) => key),
    ...[...definition.features, ...definition.support].flatMap((one) => (one.kind === "request" ? [one.value] : [])),
  ]);
  for (const { definition: group } of plan.groups) {
    const columns = group.columns.map((column) => column.value);
    addSource(group.source, [group.key, ...columns]);
    // The request's own fact is made from the request.
    addSource(definition.request, columns);
    const { retraction } = group;
    if (retraction === null) continue;
    const nodes = [
      retraction.identity,
      retraction.key,
      retraction.time,
      ...(retraction.where ? [retraction.where] : []),
    ];
    for (const { type, root } of retraction.events) add(type, root, nodes.flatMap(requestPaths));
  }
  return trees;
}
