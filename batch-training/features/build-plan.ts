import type { Catalog, CompiledGroup } from "../../models/features/catalog.ts";
import type { CompiledService } from "../../models/features/compile-service.ts";
import type { EntityType } from "../../models/features/feature-store.ts";

/** One entity of a service, as a build sees it. */
export interface PlannedEntity {
  /** Index among the service's entities. */
  readonly index: number;
  readonly type: EntityType;
  /** Groups of the entity's type, each with its stream. */
  readonly groups: readonly { readonly group: CompiledGroup; readonly stream: number }[];
  /** Groups that the request's own fact belongs to. */
  readonly ownGroups: readonly CompiledGroup[];
  /** Indexes of the service's features whose values this entity gives, in the order in which they are written. */
  readonly aggregates: readonly number[];
}

/**
 * What a build of a service reads and writes. Streams of the first pass, by number: the facts of each group, the questions of each
 * entity, labels, rows; of the second: the answers of each entity, rows.
 */
export interface BuildPlan {
  readonly service: CompiledService;
  readonly catalog: Catalog;
  /** Groups that the service has windows over; others are not written. */
  readonly groups: readonly CompiledGroup[];
  readonly entities: readonly PlannedEntity[];
  /** Indexes of the features that need nothing but the request. */
  readonly requestFeatures: readonly number[];
  readonly askStream: number;
  readonly labelStream: number;
  readonly rowStream: number;
  readonly streams: number;
}

/** entity (two hashes), visibleAt, sequence, time, identity, retractedAt; then the columns. */
export const FACT_HEAD = 7;
/** entity (two hashes), visibleAt, sequence, identity, asOf; then the columns of the own fact of each own group. */
export const ASK_HEAD = 6;
/** row (two hashes), visibleAt, sequence. */
export const LABEL_LENGTH = 4;
/** row (two hashes), visibleAt, sequence, asOf; then the request features and the texts. */
export const ROW_HEAD = 5;

export function planBuild(service: CompiledService, catalog: Catalog): BuildPlan {
  const groups = [...new Set(service.windows.map((window) => window.group))];
  const entities = service.entities.map(({ type }, index) => planEntity(service, groups, { type, index }));
  const askStream = groups.length;
  const labelStream = askStream + entities.length;
  return {
    service,
    catalog,
    groups,
    entities,
    requestFeatures: service.features.flatMap((feature, index) => (feature.kind === "request" ? [index] : [])),
    askStream,
    labelStream,
    rowStream: labelStream + 1,
    streams: labelStream + 2,
  };
}

function planEntity(
  service: CompiledService,
  groups: readonly CompiledGroup[],
  { type, index }: { type: EntityType; index: number },
): PlannedEntity {
  const windows = service.windows.filter((window) => window.entity === index);
  return {
    index,
    type,
    groups: groups.flatMap((group, stream) => (group.definition.entity === type ? [{ group, stream }] : [])),
    ownGroups: [...new Set(windows.filter((window) => window.isOfRequest).map((window) => window.group))],
    aggregates: service.features.flatMap((feature, at) =>
      feature.kind === "aggregate" && service.windows[feature.window]?.entity === index ? [at] : [],
    ),
  };
}

export const factLength = (group: CompiledGroup): number => FACT_HEAD + group.columns.length;

export const askLength = ({ ownGroups }: PlannedEntity): number =>
  ASK_HEAD + ownGroups.reduce((sum, group) => sum + group.columns.length, 0);

/** Order of the log: by `visibleAt`, then by `sequence`. */
export function isEarlier(visibleAtA: number, sequenceA: number, visibleAtB: number, sequenceB: number): boolean {
  return visibleAtA < visibleAtB || (visibleAtA === visibleAtB && sequenceA < sequenceB);
}
