/** `/healthz`, `/readyz` and `/metrics` of the service, for what supervises it. */
import { createServer, type Server } from "node:http";

export interface Health {
  /** The loop goes round. */
  readonly isAlive: () => boolean;
  /** Why it can take no job now; null when it can. */
  readonly obstacle: () => string | null;
  readonly metrics: () => string;
}

export interface HealthServer {
  readonly port: number;
  close(): Promise<void>;
}

export async function serveHealth(health: Health, options: { host: string; port: number }): Promise<HealthServer> {
  const server = createServer((request, response) => {
    const { status, type, body } = answer(health, request.method ?? "", (request.url ?? "").split("?")[0] ?? "");
    response.writeHead(status, { "content-type": type, "cache-control": "no-store" }).end(body);
  });
  // Nothing here takes a body, and nobody needs long to ask.
  server.requestTimeout = 5_000;
  server.maxConnections = 64;
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(options.port, options.host, resolve);
  });
  return { port: portOf(server), close: () => close(server) };
}

interface HealthAnswer {
  readonly status: number;
  readonly type: string;
  readonly body: string;
}

function answer(health: Health, method: string, path: string): HealthAnswer {
  if (method !== "GET" && method !== "HEAD") return json(405, { error: "only GET" });
  if (path === "/healthz") return health.isAlive() ? json(200, { status: "ok" }) : json(503, { status: "stuck" });
  if (path === "/readyz") {
    const obstacle = health.obstacle();
    return obstacle === null ? json(200, { status: "ready" }) : json(503, { status: "not-ready", reason: obstacle });
  }
  if (path === "/metrics") return { status: 200, type: "text/plain; version=0.0.4", body: health.metrics() };
  return json(404, { error: "there are /healthz, /readyz and /metrics" });
}

function json(status: number, body: object): HealthAnswer {
  return { status, type: "application/json", body: JSON.stringify(body) };
}

function portOf(server: Server): number {
  const address = server.address();
  return typeof address === "object" && address !== null ? address.port : 0;
}

async function close(server: Server): Promise<void> {
  server.closeAllConnections();
  await new Promise((resolve) => {
    server.close(resolve);
  });
}
