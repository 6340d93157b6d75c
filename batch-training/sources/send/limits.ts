import type { RetryPolicy } from "./attempt.ts";

/** How a transfer behaves. Times in milliseconds. */
export interface SendLimits extends RetryPolicy {
  /** Events in one request. */
  readonly batchEvents: number;
  /** Bytes of JSON in one request. */
  readonly batchBytes: number;
  /** Requests with events under way at once. */
  readonly concurrency: number;
  /** Events accepted or under way but not yet proven applied; they are kept in memory to be sent again. */
  readonly maxUnproven: number;
  /** First question whether a batch has been applied, after its acceptance. */
  readonly firstCheckMs: number;
  /** Longest time between two such questions about one batch. */
  readonly maxCheckMs: number;
  /** After a broken connection, how long accepted events may take before they are sent again. */
  readonly disruptedMs: number;
  /** How long an event may lag behind one that was accepted later, before it is sent again. */
  readonly overtakenMs: number;
  /** How long nothing at all may be applied before everything unproven is sent again. */
  readonly stalledMs: number;
  /** Times one event is sent again without a broken connection to blame, before it is given up. */
  readonly maxResends: number;
  /** Events given up before the whole transfer is. */
  readonly maxUnapplied: number;
}

/** The answer to one question about applied events holds at most this many ids: the contract's limit. */
export const MAX_IDS_PER_CHECK = 1_000;

export const DEFAULT_SEND_LIMITS: SendLimits = {
  // 500 events of about 700 bytes: a third of a megabyte, validated by the Worker in some tens of milliseconds.
  batchEvents: 500,
  batchBytes: 2 * 1024 * 1024,
  concurrency: 4,
  // 20,000 events of about 1 KB in memory: 20 MB; several seconds of work for the consumer, so that it never runs dry.
  maxUnproven: 20_000,
  firstCheckMs: 250,
  maxCheckMs: 2_000,
  disruptedMs: 3_000,
  overtakenMs: 15_000,
  stalledMs: 30_000,
  maxResends: 3,
  maxUnapplied: 1_000,
  backoffMs: 200,
  maxBackoffMs: 5_000,
  // A server that is being restarted by a person or a supervisor is back within two minutes.
  giveUpAfterMs: 120_000,
  maxAttempts: 50,
};
