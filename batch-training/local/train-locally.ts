import { getModel } from "../../models/contract/api/models.ts";
import type { ApiClient } from "../client/api-client.ts";
import { ApiError } from "../client/api-error.ts";
import type { RunRecord } from "../pipeline/run-record.ts";
import type { LocalRun } from "./run-local-system.ts";
import { trainThroughService } from "./train-through-service.ts";

export interface LocalTraining {
  readonly version: string;
  /** Null when a version served already. */
  readonly record: RunRecord | null;
}

/**
 * Trains, gates, publishes and promotes, unless a version serves already.
 * @throws {TrainingRefused} where no version came of it
 */
export async function trainUnlessServing(
  run: LocalRun,
  { client, url, token }: { readonly client: ApiClient; readonly url: string; readonly token: string },
  model: string,
  onDetail: (detail: string) => void,
): Promise<LocalTraining> {
  const serving = await servingVersion(client, model);
  if (serving !== null) {
    onDetail(
      `${serving.slice(0, 12)} serves already; "npm run edgewise -- train --model ${model}" trains a challenger`,
    );
    return { version: serving, record: null };
  }
  const record = await trainThroughService({
    client,
    url,
    token,
    model,
    home: run.state.trainingFolder,
    signingKeyFile: run.state.signer() === null ? null : run.state.signingKeyFile,
    codeVersion: run.codeVersion,
    seed: run.parameters.seed,
    onStage: onDetail,
    onLog: run.onLog,
  });
  return { version: record.version ?? "", record };
}

/** A figure of the test slice, for a terminal. */
export function testFigure(record: RunRecord, name: string, slice = "test"): string {
  return record.metrics.find((metric) => metric.name === name && metric.slice === slice)?.value.toFixed(3) ?? "unknown";
}

async function servingVersion(client: ApiClient, name: string): Promise<string | null> {
  try {
    const { body } = await client.call(getModel, { params: { name } });
    return body.routing?.serving ?? null;
  } catch (error) {
    if (error instanceof ApiError && error.code === "model-not-found") return null;
    throw error;
  }
}
