/** One request in so many is counted by the binding; its limit in wrangler.toml is the ceiling divided by this. */
export const COUNTED_ONE_IN = 16;
/** A client that was refused is refused without asking for this long, in milliseconds. */
export const REFUSED_FOR_MS = 1_000;
/** Clients remembered by an isolate; beyond that they are counted anew. */
const MAX_CLIENTS = 10_000;

interface Client {
  requests: number;
  refusedUntil: number;
}

/**
 * A ceiling against runaway clients at a sixteenth of its cost: each isolate lets the binding count the first of every sixteen
 * requests of a client. The binding itself is permissive and per location, so an exact count would be no stricter.
 */
export class SampledRateLimit {
  readonly #limit: (key: string) => Promise<boolean>;
  readonly #now: () => number;
  readonly #clients = new Map<string, Client>();

  /** `limit` counts one request of a client and says whether it may go on. */
  constructor(limit: (key: string) => Promise<boolean>, now: () => number) {
    this.#limit = limit;
    this.#now = now;
  }

  /** True when the client may go on; a promise only for the requests that are counted. */
  admits(key: string): boolean | Promise<boolean> {
    const client = this.#client(key);
    if (client.refusedUntil > this.#now()) return false;
    const isCounted = client.requests % COUNTED_ONE_IN === 0;
    client.requests++;
    return isCounted ? this.#count(key, client) : true;
  }

  async #count(key: string, client: Client): Promise<boolean> {
    const admitted = await this.#limit(key);
    if (!admitted) {
      client.refusedUntil = this.#now() + REFUSED_FOR_MS;
      // The next request after that is counted again.
      client.requests = 0;
    }
    return admitted;
  }

  #client(key: string): Client {
    const known = this.#clients.get(key);
    if (known) return known;
    if (this.#clients.size >= MAX_CLIENTS) this.#clients.clear();
    const client = { requests: 0, refusedUntil: 0 };
    this.#clients.set(key, client);
    return client;
  }
}
