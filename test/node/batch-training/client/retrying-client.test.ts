import { describe, expect, it } from "vitest";
import type { ApiClient } from "../../../../batch-training/client/api-client.ts";
import { ApiError } from "../../../../batch-training/client/api-error.ts";
import { retryingClient } from "../../../../batch-training/client/retrying-client.ts";
import { listModels } from "../../../../models/contract/api/models.ts";

const problem = (status: number, retryAfterMs?: number): ApiError =>
  new ApiError(`status ${status}`, { kind: "problem", status, ...(retryAfterMs !== undefined && { retryAfterMs }) });

/** Calls a server that fails so often, then answers; the waits in between, and how it ended. */
async function call(failures: readonly ApiError[], attempts = 5): Promise<{ waits: number[]; ended: unknown }> {
  const left = [...failures];
  const waits: number[] = [];
  const client = {
    call: async () => {
      const failure = left.shift();
      if (failure) throw failure;
      return { status: 200, body: { models: [] } };
    },
  } as unknown as Pick<ApiClient, "call">;
  const sleep = async (milliseconds: number): Promise<void> => void waits.push(milliseconds);
  const patient = retryingClient(client, { attempts, sleep, random: () => 1 });
  const ended = await patient.call(listModels).then(
    ({ status }) => status,
    (error: unknown) => error,
  );
  return { waits, ended };
}

describe("a retrying client", () => {
  it("waits twice as long each time, and gives the answer", async () => {
    const lost = new ApiError("lost", { kind: "unreachable" });
    expect(await call([lost, problem(503), problem(429)])).toEqual({ waits: [500, 1_000, 2_000], ended: 200 });
  });

  it("waits as long as the server asks, within half a minute", async () => {
    expect((await call([problem(503, 7_000), problem(503, 3_600_000)])).waits).toEqual([7_000, 30_000]);
  });

  it("gives up after its attempts, with the last reason", async () => {
    const { waits, ended } = await call([problem(500), problem(502), problem(503)], 3);
    expect(waits).toHaveLength(2);
    expect(ended).toMatchObject({ status: 503 });
  });

  it.each([400, 403, 404, 409, 422])("does not repeat what will be refused again: %i", async (status) => {
    expect(await call([problem(status)])).toMatchObject({ waits: [], ended: { status } });
  });
});
