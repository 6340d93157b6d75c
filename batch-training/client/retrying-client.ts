import type { ApiClient } from "./api-client.ts";
import { ApiError } from "./api-error.ts";

export interface RetryOptions {
  /** Attempts at one call, the first counted. */
  readonly attempts: number;
  readonly sleep: (milliseconds: number) => Promise<void>;
  /** [0, 1): spreads the retries of several machines. */
  readonly random: () => number;
  readonly onRetry?: (error: ApiError, delayMs: number) => void;
}

/** First after half a second, then twice as long each time. */
const FIRST_RETRY_MS = 500;
const MAX_RETRY_MS = 30_000;

/**
 * A client that repeats calls which may succeed later, as long as the server asks it to wait or twice as long each time. Only for operations
 * that may be done twice: reading, create-only puts, publishing and promoting a version.
 */
export function retryingClient(client: Pick<ApiClient, "call">, options: RetryOptions): Pick<ApiClient, "call"> {
  return {
    async call(route, ...request) {
      for (let attempt = 1; ; attempt++) {
        try {
          return await client.call(route, ...request);
        } catch (error) {
          if (!(error instanceof ApiError) || !error.retryable || attempt >= options.attempts) throw error;
          const backOff = Math.min(MAX_RETRY_MS, FIRST_RETRY_MS * 2 ** (attempt - 1)) * (0.5 + options.random() / 2);
          const delay = Math.min(MAX_RETRY_MS, error.retryAfterMs ?? backOff);
          options.onRetry?.(error, delay);
          await options.sleep(delay);
        }
      }
    },
  };
}
