import { connect, type Socket } from "node:net";

/** A request as it goes over the wire. */
export interface WireRequest {
  readonly path: string;
  readonly token?: string;
  /** JSON text, posted; without one it is a GET. */
  readonly body?: string;
}

export interface LoadOptions {
  /** Origin of the server, `http://127.0.0.1:PORT`. */
  readonly url: string;
  readonly connections: number;
  /** Each request is made before it is timed. */
  readonly next: () => Buffer;
  /** Milliseconds, or until `requests` were answered. */
  readonly durationMs?: number;
  readonly requests?: number;
  /** Is given each answer's JSON text, after it was timed. */
  readonly onAnswer?: (text: string) => void;
}

export interface LoadResult {
  readonly requestsPerSecond: number;
  /** Milliseconds from the first byte written to the last byte read, ascending. */
  readonly latenciesMs: Float64Array;
  /** The first answer of each status that was not 200. */
  readonly failures: ReadonlyMap<number, string>;
}

/** The bytes of one keep-alive HTTP/1.1 request. */
export function wireRequest({ path, token, body }: WireRequest): Buffer {
  const head = [
    `${body === undefined ? "GET" : "POST"} ${path} HTTP/1.1`,
    "host: bench.local",
    ...(token === undefined ? [] : [`authorization: Bearer ${token}`]),
    ...(body === undefined ? [] : ["content-type: application/json", `content-length: ${Buffer.byteLength(body)}`]),
  ];
  return Buffer.from(`${head.join("\r\n")}\r\n\r\n${body ?? ""}`);
}

/**
 * Keeps every connection busy with one request after another. Works on sockets, because a general HTTP client costs more than
 * an empty Worker does, and load generators keep latencies in whole milliseconds.
 */
export async function runLoad(options: LoadOptions): Promise<LoadResult> {
  const latencies: number[] = [];
  const failures = new Map<number, string>();
  const started = performance.now();
  const end = started + (options.durationMs ?? Number.POSITIVE_INFINITY);
  const wanted = options.requests ?? Number.POSITIVE_INFINITY;
  let begun = 0;
  await Promise.all(
    Array.from({ length: options.connections }, async () => {
      const connection = await Connection.open(new URL(options.url));
      try {
        while (begun < wanted && performance.now() < end) {
          begun++;
          const request = options.next();
          const sent = performance.now();
          const { status, text } = await connection.exchange(request);
          latencies.push(performance.now() - sent);
          options.onAnswer?.(text());
          if (status !== 200 && !failures.has(status)) failures.set(status, text().slice(0, 500));
        }
      } finally {
        connection.close();
      }
    }),
  );
  const seconds = (performance.now() - started) / 1_000;
  return {
    requestsPerSecond: latencies.length / seconds,
    latenciesMs: Float64Array.from(latencies).sort(),
    failures,
  };
}

/** The value below which the share lies. `sorted` ascending. */
export function quantile(sorted: Float64Array, share: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;
}

interface Answer {
  readonly status: number;
  readonly text: () => string;
}

/** One keep-alive connection, one request at a time. Reads answers with a content length, which is what Workers send here. */
export class Connection {
  readonly #socket: Socket;
  #received: Buffer = Buffer.alloc(0);
  #waiting: { resolve: (answer: Answer) => void; reject: (error: Error) => void } | null = null;

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.setNoDelay(true);
    socket.on("data", (chunk) => this.#take(chunk));
    socket.on("error", (error) => this.#waiting?.reject(error));
    socket.on("close", () => this.#waiting?.reject(new Error("the server closed the connection")));
  }

  static open(url: URL): Promise<Connection> {
    return new Promise((resolve, reject) => {
      const socket = connect(Number(url.port), url.hostname, () => resolve(new Connection(socket)));
      socket.once("error", reject);
    });
  }

  exchange(request: Buffer): Promise<Answer> {
    return new Promise((resolve, reject) => {
      this.#waiting = { resolve, reject };
      this.#socket.write(request);
    });
  }

  close(): void {
    this.#waiting = null;
    this.#socket.destroy();
  }

  #take(chunk: Buffer): void {
    this.#received = this.#received.length === 0 ? chunk : Buffer.concat([this.#received, chunk]);
    const headEnd = this.#received.indexOf("\r\n\r\n");
    if (headEnd < 0) return;
    const head = this.#received.toString("latin1", 0, headEnd);
    const length = /\r\ncontent-length: (\d+)/i.exec(head)?.[1];
    if (length === undefined) {
      this.#waiting?.reject(new Error(`an answer without content length: ${head}`));
      return;
    }
    const start = headEnd + 4;
    const end = start + Number(length);
    if (this.#received.length < end) return;
    const body = this.#received.subarray(start, end);
    this.#received = this.#received.subarray(end);
    const waiting = this.#waiting;
    this.#waiting = null;
    waiting?.resolve({ status: Number(head.slice(9, 12)), text: () => body.toString("utf8") });
  }
}
