import { EVENT_REJECTIONS } from "../../models/contract/errors.ts";
import { pseudonymise } from "../../models/contract/pseudonymise.ts";
import { queuedEvents } from "../../models/contract/queued-events.ts";
import { logError } from "../http/log.ts";
import { type ConsumeDeps, consumeEvents, type RefusedEvent } from "./consume-events.ts";

/** First retry after two seconds, doubling: a dependency that restarts is back by the third. */
const RETRY_BASE_SECONDS = 2;
const MAX_RETRY_SECONDS = 60;

/** What is used of a queue's batch. */
export interface QueueBatch {
  readonly messages: readonly {
    readonly body: unknown;
    readonly attempts: number;
    ack(): void;
    retry(options: { delaySeconds: number }): void;
  }[];
  ackAll(): void;
}

/** Whole batch first; if that fails, message by message, so that one poisonous message holds up no other. */
export async function consumeBatch(deps: ConsumeDeps, batch: QueueBatch): Promise<void> {
  try {
    await consumeEvents(
      deps,
      batch.messages.map((message) => message.body),
    );
    batch.ackAll();
    return;
  } catch (error) {
    logError("a batch failed; its messages are tried one by one", error, { messages: batch.messages.length });
  }
  for (const message of batch.messages) {
    try {
      await consumeEvents(deps, [message.body]);
      message.ack();
    } catch (error) {
      logError("a message failed", error, { attempts: message.attempts });
      message.retry({ delaySeconds: Math.min(MAX_RETRY_SECONDS, RETRY_BASE_SECONDS ** message.attempts) });
    }
  }
}

/** Messages that failed every retry: stored with what they hold, so that they can be looked at and replayed. */
export async function storeExhausted(deps: ConsumeDeps, batch: QueueBatch): Promise<void> {
  const refused: RefusedEvent[] = batch.messages.flatMap((message) => {
    const queued = queuedEvents(message.body);
    const tenant = queued?.tenant ?? "default";
    const pseudonym = queued?.pseudonymised === true ? null : deps.pseudonyms(tenant);
    return (queued?.events ?? [message.body]).map((event) => ({
      tenant,
      reason: "processing-failed" as const,
      detail: EVENT_REJECTIONS["processing-failed"],
      event: pseudonym ? pseudonymise(event, pseudonym) : event,
    }));
  });
  await deps.storeDeadLetters(refused, deps.now());
  deps.metrics.count("dead_letters_total", { reason: "processing-failed" }, refused.length);
  batch.ackAll();
}
