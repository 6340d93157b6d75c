import { MAX_EVENT_BYTES, type InboundEvent } from "../../../models/contract/events.ts";

/** An event on its way, with its size as JSON. */
export interface SendItem {
  readonly event: InboundEvent;
  readonly bytes: number;
}

/** Consecutive events of the source, as one request sends them. */
export interface EventBatch {
  /** Position of the first event after this batch, counted in events from the start of the source. */
  readonly through: number;
  readonly items: readonly SendItem[];
  /** Events larger than the contract takes; they are not sent. */
  readonly tooLarge: readonly InboundEvent[];
}

export interface BatchLimits {
  readonly events: number;
  readonly bytes: number;
  /** Events at the start of the source that are passed over. */
  readonly skip: number;
}

/** `[`, `]` and a comma per event are counted with one byte each. */
const BRACKET_BYTES = 2;

/** Cuts a stream of events into batches that stay within both limits. Order is kept; no batch is empty. */
export async function* makeBatches(
  source: AsyncIterable<InboundEvent> | Iterable<InboundEvent>,
  limits: BatchLimits,
): AsyncGenerator<EventBatch> {
  let items: SendItem[] = [];
  let tooLarge: InboundEvent[] = [];
  let bytes = BRACKET_BYTES;
  let position = 0;
  const cut = (): EventBatch => {
    const batch = { through: position, items, tooLarge };
    items = [];
    tooLarge = [];
    bytes = BRACKET_BYTES;
    return batch;
  };
  for await (const event of source) {
    if (position < limits.skip) {
      position += 1;
      continue;
    }
    const size = Buffer.byteLength(JSON.stringify(event));
    if (items.length + tooLarge.length >= limits.events || (items.length > 0 && bytes + size + 1 > limits.bytes)) {
      yield cut();
    }
    position += 1;
    if (size > MAX_EVENT_BYTES) tooLarge.push(event);
    else {
      items.push({ event, bytes: size });
      bytes += size + 1;
    }
  }
  if (items.length + tooLarge.length > 0) yield cut();
}
