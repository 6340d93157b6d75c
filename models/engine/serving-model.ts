import type { DegradedFlag } from "../contract/decision-record.ts";
import type { FraudPolicy } from "../contract/manifest.ts";
import type { Contributions } from "./session.ts";

/** A proven model version as a decision uses it, whichever engine runs it. */
export interface ServingModel {
  readonly name: string;
  readonly version: string;
  readonly policy: FraudPolicy | null;
  readonly featureService: { readonly name: string; readonly hash: string };
  /** The first output for one row; synchronous on the compact engine. */
  score(vector: Float32Array): number | Promise<number>;
  /** Null where the model has no exact attribution. */
  readonly explain: ((vector: Float32Array) => Contributions) | null;
}

/** What is to serve one subject now. `model` is null when rules must answer; the flags say why. */
export interface ModelSelection {
  readonly model: ServingModel | null;
  readonly arm: string;
  /** Epoch of the routing record; 0 without one. */
  readonly epoch: number;
  readonly degraded: readonly DegradedFlag[];
}

export interface ModelProvider {
  /** From isolate memory when it is there. Never throws: a model that cannot be had is a flag. */
  select(tenant: string, model: string, subject: string): ModelSelection | Promise<ModelSelection>;
}
