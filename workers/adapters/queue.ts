/** The queue takes at most 100 messages or 256 KB in one call; ours are below 128 KB each. */
const MESSAGES_PER_SEND = 100;
const BYTES_PER_SEND = 250_000;

/** Sends messages in as few calls as the queue's limits allow. Resolves once the queue has them all. */
export async function sendInBatches<T>(queue: Queue<T>, messages: readonly T[]): Promise<void> {
  let batch: { body: T; contentType: "json" }[] = [];
  let bytes = 0;
  for (const body of messages) {
    const size = new TextEncoder().encode(JSON.stringify(body)).byteLength;
    if (batch.length > 0 && (batch.length === MESSAGES_PER_SEND || bytes + size > BYTES_PER_SEND)) {
      await queue.sendBatch(batch);
      batch = [];
      bytes = 0;
    }
    batch.push({ body, contentType: "json" });
    bytes += size;
  }
  if (batch.length > 0) await queue.sendBatch(batch);
}
