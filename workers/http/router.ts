import { logError } from "./log.ts";

/** Path parameters, percent-decoded. */
export type PathParams = Readonly<Record<string, string>>;

export interface Execution {
  waitUntil(promise: Promise<unknown>): void;
}

export type Handle = (request: Request, params: PathParams, execution: Execution) => Response | Promise<Response>;

export interface RouterOptions {
  /** Answers where no route fits. */
  readonly notFound: (request: Request) => Response;
  /** Answers where a handler threw. */
  readonly failed: (request: Request) => Response;
}

interface Pattern {
  /** Segments; a parameter's begins with a colon. */
  readonly segments: readonly string[];
  readonly handle: Handle;
}

const NO_PARAMS: PathParams = {};

/**
 * Routes without middleware: a path without parameters is found in one look, any other among those of its length. Of several that
 * fit, one without parameters answers, else the one that was mounted first. HEAD is GET without a body.
 */
export class Router {
  readonly #options: RouterOptions;
  readonly #plain = new Map<string, Map<string, Handle>>();
  /** By method and number of segments. */
  readonly #patterns = new Map<string, Pattern[]>();

  constructor(options: RouterOptions) {
    this.#options = options;
  }

  /** `path` like `/a/:id/b`. */
  on(method: string, path: string, handle: Handle): void {
    if (path.includes("*")) throw new Error(`${path}: routes are mounted one by one`);
    if (path.includes(":")) {
      const segments = path.split("/");
      const key = `${method} ${segments.length}`;
      const known = this.#patterns.get(key) ?? [];
      if (known.length === 0) this.#patterns.set(key, known);
      known.push({ segments, handle });
      return;
    }
    const known = this.#plain.get(method) ?? new Map<string, Handle>();
    this.#plain.set(method, known);
    if (!known.has(path)) known.set(path, handle);
  }

  async fetch(request: Request, execution: Execution): Promise<Response> {
    const { method } = request;
    try {
      if (method !== "HEAD") return await this.#answer(method, request, execution);
      return new Response(null, await this.#answer("GET", request, execution));
    } catch (error) {
      logError("unhandled error", error, { path: new URL(request.url).pathname });
      return this.#options.failed(request);
    }
  }

  #answer(method: string, request: Request, execution: Execution): Response | Promise<Response> {
    const path = pathOf(request.url);
    const plain = this.#plain.get(method)?.get(path);
    if (plain) return plain(request, NO_PARAMS, execution);
    const segments = path.split("/");
    for (const pattern of this.#patterns.get(`${method} ${segments.length}`) ?? []) {
      const params = paramsOf(pattern.segments, segments);
      if (params) return pattern.handle(request, params, execution);
    }
    return this.#options.notFound(request);
  }
}

/** The path of an absolute URL, decoded but for what would change its segments. */
function pathOf(url: string): string {
  const start = url.indexOf("/", url.indexOf(":") + 3);
  let end = start;
  for (; end < url.length; end++) {
    const code = url.charCodeAt(end);
    if (code === QUESTION_MARK || code === HASH) break;
  }
  const path = url.slice(start, end);
  if (!path.includes("%")) return path;
  // An escaped percent sign stays as it is until the segment is decoded.
  return decoded(path.replaceAll("%25", "%2525"), decodeURI);
}

const QUESTION_MARK = 0x3f;
const HASH = 0x23;

function paramsOf(pattern: readonly string[], segments: readonly string[]): PathParams | null {
  const params: Record<string, string> = {};
  for (const [index, part] of pattern.entries()) {
    const segment = segments[index] ?? "";
    if (!part.startsWith(":")) {
      if (part !== segment) return null;
    } else {
      if (segment === "") return null;
      params[part.slice(1)] = segment.includes("%") ? decoded(segment, decodeURIComponent) : segment;
    }
  }
  return params;
}

/** Text that is no valid encoding stays as it is. */
function decoded(text: string, decode: (text: string) => string): string {
  try {
    return decode(text);
  } catch {
    return text;
  }
}
