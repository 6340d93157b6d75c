import { groupName } from "./catalog.ts";
import { serviceHash, valueOf, valuesOfGroup } from "./compile-service.ts";
import type { FeatureDefinition, GroupDefinition, ServiceDefinition, SourceDefinition } from "./definition.ts";
import { describeAggregation, describeDuration, describeExpression, describeWindow } from "./describe.ts";
import { definitionHash } from "./hash.ts";

/** The registry's page on one service: plain JSON, checked in as YAML, served by the API. */
export interface ServiceDocument {
  readonly v: 1;
  readonly name: string;
  readonly hash: string;
  readonly owner: string;
  readonly description: string;
  readonly request: string;
  readonly entities: readonly { readonly type: string; readonly id: string }[];
  readonly features: readonly FeatureDocument[];
  /** Computed for other features, not in the vector. */
  readonly support: readonly FeatureDocument[];
  readonly groups: readonly GroupDocument[];
  readonly sources: readonly SourceDocument[];
}

export interface FeatureDocument {
  readonly name: string;
  /** Place in the vector; null for support features. */
  readonly position: number | null;
  readonly type: "float32";
  readonly kind: FeatureDefinition["kind"];
  readonly description: string;
  readonly definition: string;
  readonly group: string | null;
  readonly window: string | null;
  readonly countsRequest: boolean;
  readonly fallback: number | null;
  readonly hash: string;
}

export interface GroupDocument {
  readonly name: string;
  readonly hash: string;
  readonly owner: string;
  readonly description: string;
  readonly sensitivity: string;
  readonly entity: string;
  readonly key: string;
  readonly source: string;
  readonly columns: readonly { readonly name: string; readonly value: string; readonly keep: string }[];
  readonly keep: string;
  readonly timeToLive: string;
  readonly retraction: string | null;
  /** Absent: none. */
  readonly copies?: string;
}

export interface SourceDocument {
  readonly name: string;
  readonly hash: string;
  readonly events: readonly string[];
  readonly each: string | null;
  readonly identity: string;
  readonly time: string;
  readonly where: string | null;
}

export function serviceDocument(service: ServiceDefinition): ServiceDocument {
  const groups = new Map<string, GroupDefinition>();
  const sources = new Map<string, SourceDefinition>([[groupName(service.request), service.request]]);
  for (const feature of [...service.features, ...service.support]) {
    if (feature.kind !== "aggregate") continue;
    groups.set(groupName(feature.group), feature.group);
    sources.set(groupName(feature.group.source), feature.group.source);
  }
  return {
    v: 1,
    name: service.name,
    hash: serviceHash(service),
    owner: service.owner,
    description: service.description,
    request: groupName(service.request),
    entities: service.entities.map(({ type, key }) => ({ type, id: describeExpression(key) })),
    features: service.features.map((feature, position) => featureDocument(feature, position)),
    support: service.support.map((feature) => featureDocument(feature, null)),
    groups: [...groups.values()].map(groupDocument),
    sources: [...sources.values()].map(sourceDocument),
  };
}

function featureDocument(feature: FeatureDefinition, position: number | null): FeatureDocument {
  const isAggregate = feature.kind === "aggregate";
  return {
    name: feature.name,
    position,
    type: "float32",
    kind: feature.kind,
    description: feature.description,
    definition: isAggregate ? describeAggregation(feature.aggregation) : describeExpression(feature.value),
    group: isAggregate ? groupName(feature.group) : null,
    window: isAggregate ? describeWindow(feature.window) : null,
    countsRequest: isAggregate && feature.countsRequest,
    fallback: feature.fallback,
    hash: definitionHash(valueOf(feature)),
  };
}

function groupDocument(group: GroupDefinition): GroupDocument {
  const { keep } = group;
  const horizon = keep.horizonMs === null ? "for ever" : `for ${describeDuration(keep.horizonMs)}`;
  return {
    name: groupName(group),
    hash: definitionHash(valuesOfGroup(group)),
    owner: group.owner,
    description: group.description,
    sensitivity: group.sensitivity,
    entity: group.entity,
    key: describeExpression(group.key),
    source: groupName(group.source),
    columns: group.columns.map((column) => ({
      name: column.name,
      value: describeExpression(column.value),
      keep: Object.entries(column.keep)
        .map(([part, value]) => (value === true ? part : `${part} ${String(value)}`))
        .join(", "),
    })),
    keep: `${keep.facts} facts exactly, then tiles of ${describeDuration(keep.tileMs)}, ${keep.tiles} at most, ${horizon}`,
    timeToLive: group.ttlMs === null ? "none" : describeDuration(group.ttlMs),
    retraction: group.retraction === null ? null : group.retraction.events.map((event) => event.type).join(", "),
    ...(group.copies === null ? {} : { copies: `in KV for ${group.copies.ttlSeconds} s` }),
  };
}

function sourceDocument(source: SourceDefinition): SourceDocument {
  return {
    name: groupName(source),
    hash: definitionHash(source),
    events: source.events.map(({ type, root }) => (root === "" ? type : `${type} at ${root}`)),
    each: source.each,
    identity: source.identity === null ? "of the event" : describeExpression(source.identity),
    time: source.time === null ? "of the event" : describeExpression(source.time),
    where: source.where === null ? null : describeExpression(source.where),
  };
}

/** One difference between two pages of the registry. */
export interface RegistryChange {
  readonly what: "feature" | "support" | "group" | "source" | "service";
  readonly name: string;
  readonly change: "added" | "removed" | "changed" | "moved";
  readonly from: string | null;
  readonly to: string | null;
}

/** What differs from one page to another, features in order of the vector. */
export function diffServices(from: ServiceDocument, to: ServiceDocument): RegistryChange[] {
  return [
    ...diffNamed("feature", from.features, to.features),
    ...from.features.flatMap((feature): RegistryChange[] => {
      const moved = to.features.find((other) => other.name === feature.name);
      if (!moved || moved.position === feature.position) return [];
      const places = { from: `position ${feature.position}`, to: `position ${moved.position}` };
      return [{ what: "feature", name: feature.name, change: "moved", ...places }];
    }),
    ...diffNamed("support", from.support, to.support),
    ...diffNamed("group", from.groups, to.groups),
    ...diffNamed("source", from.sources, to.sources),
    ...(from.request === to.request && JSON.stringify(from.entities) === JSON.stringify(to.entities)
      ? []
      : [{ what: "service", name: to.name, change: "changed", from: from.request, to: to.request } as const]),
  ];
}

type Named = FeatureDocument | GroupDocument | SourceDocument;

function diffNamed(what: RegistryChange["what"], from: readonly Named[], to: readonly Named[]): RegistryChange[] {
  const before = new Map(from.map((entry) => [entry.name, entry]));
  const after = new Map(to.map((entry) => [entry.name, entry]));
  const changes: RegistryChange[] = [];
  for (const [name, entry] of before) {
    const other = after.get(name);
    if (!other) changes.push({ what, name, change: "removed", from: summaryOf(entry), to: null });
    else if (other.hash !== entry.hash)
      changes.push({ what, name, change: "changed", from: summaryOf(entry), to: summaryOf(other) });
  }
  for (const [name, entry] of after)
    if (!before.has(name)) changes.push({ what, name, change: "added", from: null, to: summaryOf(entry) });
  return changes;
}

function summaryOf(entry: Named): string {
  if ("definition" in entry) {
    const window = entry.window === null ? "" : ` over ${entry.window} of ${entry.group}`;
    return `${entry.definition}${window}${entry.countsRequest ? ", this one included" : ""}`;
  }
  if ("columns" in entry) return `${entry.source} by ${entry.key}: ${entry.keep}`;
  return `${entry.events.join(" | ")}, identity ${entry.identity}, time ${entry.time}`;
}
