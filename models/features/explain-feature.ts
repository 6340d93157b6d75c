import type { FeatureExplanation } from "../contract/api/features.ts";
import type { CompiledAggregate, CompiledService } from "./compile-service.ts";
import type { FeatureDefinition } from "./definition.ts";
import { describeAggregation, describeExpression } from "./describe.ts";
import type { EntityState } from "./entity-state.ts";
import { finishAll, type RequestContext } from "./finish-vector.ts";
import { FIRST_COLUMN, type GroupState, rowsUpTo } from "./group-state.ts";

/** Facts listed in one explanation. */
const MAX_FACTS = 20;

/** How the value of a feature comes about from the states of the service's entities; null where the service has no such feature. */
export function explainFeatureValue(
  service: CompiledService,
  states: readonly (EntityState | null | undefined)[],
  request: RequestContext,
  name: string,
): FeatureExplanation | null {
  const index = service.positionOf(name);
  const feature = service.features[index];
  const definition = [...service.definition.features, ...service.definition.support].find((one) => one.name === name);
  if (!feature || !definition) return null;
  const all = finishAll(service, states, request);
  const value = (at: number): number | null => finiteOrNull(all.values[at] ?? Number.NaN);
  return {
    name,
    description: definition.description,
    definition: definitionOf(definition),
    value: value(index),
    status: all.statuses[index] ?? "missing",
    ageSeconds: all.ages[index] ?? null,
    ...(feature.kind === "aggregate" ? windowOf(service, feature, states, request.asOf) : NO_WINDOW),
    inputs:
      feature.kind === "derived"
        ? feature.inputs.map((input) => ({ name: service.features[input]?.name ?? "", value: value(input) }))
        : [],
  };
}

const NO_WINDOW = { group: null, window: null, facts: null, tiledFacts: null, newest: [] };

function definitionOf(definition: FeatureDefinition): string {
  if (definition.kind === "aggregate") return describeAggregation(definition.aggregation);
  return describeExpression(definition.value);
}

function windowOf(
  service: CompiledService,
  feature: CompiledAggregate,
  states: readonly (EntityState | null | undefined)[],
  asOf: number,
): Pick<FeatureExplanation, "group" | "window" | "facts" | "tiledFacts" | "newest"> {
  const window = service.windows[feature.window];
  if (!window) return NO_WINDOW;
  const until = asOf - window.delayMs;
  const after = until - window.lengthMs;
  const state = states[window.entity]?.groups[window.group.slot] ?? null;
  const described = {
    group: window.group.name,
    window: {
      after: Number.isFinite(after) ? new Date(after).toISOString() : null,
      until: new Date(until).toISOString(),
    },
  };
  if (state === null) return { ...described, facts: 0, tiledFacts: 0, newest: [] };
  const first = rowsUpTo(state, window.group, after);
  const end = rowsUpTo(state, window.group, until);
  const tiles = state.tiles.filter(({ facts }) => facts.lastTime > after && facts.lastTime <= until);
  return {
    ...described,
    facts: end - first,
    tiledFacts: tiles.reduce((sum, tile) => sum + tile.facts.count, 0),
    newest: factsBetween(state, window.group, Math.max(first, end - MAX_FACTS), end),
  };
}

function factsBetween(
  state: GroupState,
  group: { readonly stride: number; readonly columnNames: readonly string[] },
  first: number,
  end: number,
): FeatureExplanation["newest"] {
  const facts: FeatureExplanation["newest"] = [];
  for (let row = end - 1; row >= first; row--) {
    const at = row * group.stride;
    const values = group.columnNames.map((name, column): [string, number | null] => [
      name,
      finiteOrNull(state.rows[at + FIRST_COLUMN + column] ?? Number.NaN),
    ]);
    facts.push({ time: new Date(state.rows[at] ?? 0).toISOString(), values: Object.fromEntries(values) });
  }
  return facts;
}

function finiteOrNull(value: number): number | null {
  return Number.isFinite(value) ? value : null;
}
