import type { RoutingRecord } from "../models/contract/api/models.ts";

/** Changes kept in the object itself; D1 has them all. */
export const MAX_HISTORY = 1_000;

export interface RoutingState {
  readonly record: RoutingRecord;
  /** Earlier records, oldest first. */
  readonly history: readonly RoutingRecord[];
}

export function emptyRouting(model: string): RoutingState {
  const record: RoutingRecord = {
    v: 1,
    model,
    epoch: 0,
    serving: null,
    previous: null,
    changedAt: 0,
    changedBy: "",
    reason: null,
  };
  return { record, history: [] };
}

export interface RoutingChange {
  readonly by: string;
  readonly now: number;
}

/** Makes `version` serve. Promoting what serves already changes nothing, so a retried promotion is one change. */
export function promote(state: RoutingState, version: string, change: RoutingChange): RoutingState {
  if (state.record.serving === version) return state;
  return advance(state, version, "promote", change);
}

/**
 * Goes back to the version that served before the one that serves now. Rolling back twice goes back two versions: a
 * rollback's own record never counts as "before". Null when there is none.
 */
export function rollBack(state: RoutingState, change: RoutingChange): RoutingState | null {
  const target = previousVersion(state);
  return target === null ? null : advance(state, target, "rollback", change);
}

/** The version a rollback would go back to. */
export function previousVersion(state: RoutingState): string | null {
  // Replays the history as a stack: a promotion pushes, a rollback pops.
  const stack: string[] = [];
  for (const record of [...state.history, state.record]) {
    if (record.serving === null) continue;
    if (record.reason === "rollback") stack.pop();
    else stack.push(record.serving);
  }
  return stack.at(-2) ?? null;
}

function advance(
  state: RoutingState,
  serving: string,
  reason: "promote" | "rollback",
  change: RoutingChange,
): RoutingState {
  const record: RoutingRecord = {
    v: 1,
    model: state.record.model,
    epoch: state.record.epoch + 1,
    serving,
    // A rollback's predecessor is the version that was just given up: nothing to fall back to.
    previous: reason === "promote" ? state.record.serving : null,
    changedAt: change.now,
    changedBy: change.by,
    reason,
  };
  const history = state.record.epoch === 0 ? [] : [...state.history, state.record].slice(-MAX_HISTORY);
  return { record, history };
}
