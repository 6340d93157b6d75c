import type { LoadState } from "../../durable-objects/staged-loads.ts";
import {
  commitFeatureLoad,
  type FeatureLoadState,
  getFeatureLoad,
  loadFeatures,
  type LoadedRow,
} from "../../models/contract/api/feature-loads.ts";
import type { Issue } from "../../models/contract/errors.ts";
import { MAX_FUTURE_SKEW_MS } from "../../models/contract/events.ts";
import type { CompiledGroup, EntityFact } from "../../models/features/catalog.ts";
import { type EntityType, isComposite, PAIR_SEPARATOR } from "../../models/features/feature-store.ts";
import { checkColumns, qualityText } from "../../models/features/quality.ts";
import type { Checks, FeatureDefinition } from "../../models/features/definition.ts";
import { Failure } from "../http/failure.ts";
import { type HttpDeps, mount } from "../http/mount.ts";
import type { App } from "../http/mount.ts";
import type { LoadName } from "./load-store.ts";
import { type FeatureRouteDeps, storedId } from "./route.ts";

export function mountFeatureLoads(app: App, http: HttpDeps, deps: FeatureRouteDeps): void {
  mount(app, http, loadFeatures, async ({ params, body }, { identity, now }) => {
    const group = deps.catalog.groupByName(params.group);
    if (!group || group.definition.source.events.length > 0) return new Failure("group-not-found");
    const issues = [...rowIssues(group, body.rows, now), ...qualityIssues(deps, group, body.rows)];
    if (issues.length > 0) return new Failure("invalid-request", { issues: issues.slice(0, MAX_ISSUES) });
    const pseudonym = deps.pseudonyms(identity.tenant);
    const facts: EntityFact[] = body.rows.flatMap((row) => {
      const entity = storedId(group.definition.entity, row.entity, pseudonym);
      return deps.catalog.factsOfPayload(group.definition.source, { ...row, entity }, now);
    });
    if (body.stage) {
      const staged = await deps.loads.stage(loadName(identity.tenant, params.group, body.batch), body.part, facts);
      const counts =
        staged === "staged" ? { duplicate: 0, staged: facts.length } : { duplicate: facts.length, staged: 0 };
      return Response.json({ applied: 0, ...counts });
    }
    const applied = await deps.store.load(identity.tenant, facts);
    return Response.json({ applied, duplicate: facts.length - applied, staged: 0 });
  });

  mount(app, http, getFeatureLoad, async ({ params }, { identity }) => {
    const state = await deps.loads.state(loadName(identity.tenant, params.group, params.batch));
    return state ? Response.json(stateOf(params.batch, state)) : new Failure("load-not-found");
  });

  mount(app, http, commitFeatureLoad, async ({ params, body }, { identity }) => {
    const load = loadName(identity.tenant, params.group, params.batch);
    const committed = await deps.loads.commit(load, body.parts);
    const state = await deps.loads.state(load);
    if (!state) return new Failure("load-not-found");
    if (committed) return Response.json(stateOf(params.batch, { ...state, committedAt: committed.committedAt }));
    return new Failure("load-incomplete", { detail: `Staged are ${rangesOf(state.parts)} of 0 to ${body.parts - 1}.` });
  });
}

function loadName(tenant: string, group: string, batch: string): LoadName {
  return { tenant, name: `${group}/${batch}` };
}

function stateOf(batch: string, { parts, committedAt }: LoadState): FeatureLoadState {
  return { batch, parts, committedAt: committedAt === null ? null : new Date(committedAt).toISOString() };
}

/** `0-3, 7`: as much of it as fits a message. */
function rangesOf(parts: readonly number[]): string {
  const ranges: [number, number][] = [];
  for (const part of parts) {
    const last = ranges.at(-1);
    if (last && last[1] + 1 === part) last[1] = part;
    else ranges.push([part, part]);
  }
  const text = ranges.slice(0, 20).map(([from, to]) => (from === to ? `${from}` : `${from}-${to}`));
  return text.join(", ") || "none";
}

/** Issues listed in one refusal. */
const MAX_ISSUES = 50;

function rowIssues(group: CompiledGroup, rows: readonly LoadedRow[], now: number): Issue[] {
  return rows.flatMap((row, index): Issue[] => [
    ...(Date.parse(row.at) > now + MAX_FUTURE_SKEW_MS
      ? [{ path: `/rows/${index}/at`, message: "more than 5 minutes ahead" }]
      : []),
    ...(row.entity.split(PAIR_SEPARATOR).length === (isComposite(group.definition.entity) ? 2 : 1)
      ? []
      : [{ path: `/rows/${index}/entity`, message: entityHint(group.definition.entity) }]),
    ...Object.keys(row.values)
      .filter((name) => !group.columnNames.includes(name))
      .map((name) => ({
        path: `/rows/${index}/values/${name}`,
        message: `${group.name} has no such column; it has ${group.columnNames.join(", ")}`,
      })),
  ]);
}

function entityHint(type: EntityType): string {
  return isComposite(type) ? `${type} is two ids joined by ${PAIR_SEPARATOR}` : `${type} is one id`;
}

/** The limits declared beside the features of a group's columns; shares are for the whole load, which the sender checks. */
function qualityIssues(deps: FeatureRouteDeps, group: CompiledGroup, rows: readonly LoadedRow[]): Issue[] {
  const declared = columnChecks(deps, group).map(({ name, checks: { min, max } }) => ({
    name,
    checks: { ...(min === undefined ? {} : { min }), ...(max === undefined ? {} : { max }) },
  }));
  const columns = declared.map(({ name }) => Float32Array.from(rows, (row) => row.values[name] ?? Number.NaN));
  const report = checkColumns(declared, columns, null);
  return report.findings.length === 0 ? [] : [{ path: "/rows", message: qualityText(report) }];
}

function columnChecks(deps: FeatureRouteDeps, group: CompiledGroup): { name: string; checks: Checks }[] {
  const features: FeatureDefinition[] = deps.services.flatMap(({ definition }) => [
    ...definition.features,
    ...definition.support,
  ]);
  return group.columnNames.map((name) => {
    const feature = features.find(
      (one) =>
        one.kind === "aggregate" &&
        one.group === group.definition &&
        "column" in one.aggregation &&
        one.aggregation.column === name,
    );
    return { name, checks: feature?.checks ?? {} };
  });
}
