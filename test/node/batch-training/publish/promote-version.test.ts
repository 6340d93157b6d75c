import { describe, expect, it } from "vitest";
import type { ApiClient } from "../../../../batch-training/client/api-client.ts";
import { ApiError } from "../../../../batch-training/client/api-error.ts";
import { promoteVersion } from "../../../../batch-training/publish/promote-version.ts";
import type { ErrorCode } from "../../../../models/contract/errors.ts";

const VERSION = "a".repeat(64);

const problem = (code: ErrorCode, status: number): ApiError =>
  new ApiError(code, {
    kind: "problem",
    status,
    problem: { type: "", title: code, status, code, requestId: "r" },
  });

type Answer = object | ApiError;

/** A Worker that answers each operation in turn; the last answer stays. */
function worker(answers: Record<string, Answer[]>) {
  const calls: string[] = [];
  const waits: number[] = [];
  const call = async ({ operationId }: { operationId: string }) => {
    calls.push(operationId);
    const own = answers[operationId] ?? [];
    const answer = own.length > 1 ? own.shift() : own[0];
    if (answer === undefined) throw new Error(`nobody expects ${operationId}`);
    if (answer instanceof ApiError) throw answer;
    return { status: 200, body: answer };
  };
  const client = { call } as unknown as Pick<ApiClient, "call">;
  const after = async (milliseconds: number): Promise<void> => void waits.push(milliseconds);
  const notices: string[] = [];
  const notice = (line: string): void => void notices.push(line);
  return { calls, waits, notices, promote: () => promoteVersion(client, "recs", VERSION, { after, notice }) };
}

const record = { serving: VERSION };
const notReady = problem("vectors-not-ready", 409);

describe("a promotion through the API", () => {
  it("is one call where no vectors are missing", async () => {
    const { calls, promote } = worker({ promoteModel: [record] });
    expect(await promote()).toEqual(record);
    expect(calls).toEqual(["promoteModel"]);
  });

  it("has missing vectors written part by part, waits until they are visible, and removes old ones afterwards", async () => {
    const { calls, waits, promote } = worker({
      promoteModel: [notReady, record],
      writeVersionVectors: [
        { state: "writing", vectors: 25_000, done: 10_000 },
        problem("unavailable", 503),
        { state: "writing", vectors: 25_000, done: 20_000 },
        { state: "writing", vectors: 25_000, done: 25_000 },
        { state: "writing", vectors: 25_000, done: 25_000 },
        { state: "ready", vectors: 25_000, done: 25_000 },
      ],
      cleanUpVectors: [
        { removing: [{ version: "b", vectors: 5_000, done: 4_000 }], done: false },
        { removing: [], done: true },
      ],
    });
    expect(await promote()).toEqual(record);
    expect(calls).toEqual([
      "promoteModel",
      ...Array.from({ length: 6 }, () => "writeVersionVectors"),
      "promoteModel",
      "cleanUpVectors",
      "cleanUpVectors",
    ]);
    expect(waits).toEqual([5_000, 1_000]);
  });

  it("does not happen where vectors do not become visible in half an hour", async () => {
    const { calls, waits, promote } = worker({
      promoteModel: [notReady],
      writeVersionVectors: [{ state: "writing", vectors: 10, done: 10 }],
    });
    await expect(promote()).rejects.toThrow("what serves stays as it is");
    expect(calls.filter((name) => name === "promoteModel")).toHaveLength(1);
    expect(waits.reduce((sum, wait) => sum + wait, 0)).toBeLessThanOrEqual(1_800_000);
  });

  it("does not happen where the vectors do not fit, and says the Worker's reason", async () => {
    const refused = problem("vectors-refused", 422);
    const { promote } = worker({ promoteModel: [notReady], writeVersionVectors: [refused] });
    await expect(promote()).rejects.toBe(refused);
  });

  it("holds where old vectors cannot be removed now, which is said", async () => {
    const { notices, promote } = worker({
      promoteModel: [notReady, record],
      writeVersionVectors: [{ state: "ready", vectors: 10, done: 10 }],
      cleanUpVectors: [problem("unavailable", 503)],
    });
    expect(await promote()).toEqual(record);
    expect(notices.at(-1)).toContain("were not all removed");
  });

  it("ends a removal that does not come to its end", async () => {
    const { calls, promote } = worker({
      promoteModel: [notReady, record],
      writeVersionVectors: [{ state: "ready", vectors: 10, done: 10 }],
      cleanUpVectors: [{ removing: [{ version: "b", vectors: 10, done: 10 }], done: false }],
    });
    await promote();
    expect(calls.filter((name) => name === "cleanUpVectors")).toHaveLength(2);
  });

  it("is refused for any other reason without a word about vectors", async () => {
    const refused = problem("model-refused", 422);
    const { calls, promote } = worker({ promoteModel: [refused] });
    await expect(promote()).rejects.toBe(refused);
    expect(calls).toEqual(["promoteModel"]);
  });
});
