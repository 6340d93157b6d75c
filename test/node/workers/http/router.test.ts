import { Hono } from "hono";
import { describe, expect, it } from "vitest";
import { Router } from "../../../../workers/http/router.ts";

const ROUTES = ["/", "/a", "/a/:id", "/a/:id/b", "/a/fixed", "/a/fixed/:name/loads", "/c/:x/d/:y", "/e f"];
const PATHS = [
  "/",
  "/a",
  "/a/",
  "/a/7",
  "/a/7/",
  "/a/7/b",
  "/a/fixed",
  "/a/fixed/g/loads",
  "/c/1/d/2",
  "/c//d/2",
  "/a?b=/a/7",
  "/a/x%20y",
  "/a/x%2Fy",
  "/a/%25",
  "/a/%E4",
  "/a/%2525",
  "/%61",
  "/a%2F7",
  "/e%20f",
  "/nothing",
  "/a/7/x",
  "/a/é",
];
const execution = { waitUntil: () => {} };

function ownRouter(): Router {
  const router = new Router({
    notFound: () => new Response("404 Not Found", { status: 404 }),
    failed: () => new Response("failed", { status: 500 }),
  });
  for (const path of ROUTES) router.on("GET", path, (_request, params) => Response.json({ path, params }));
  router.on("POST", "/a", () => new Response("posted"));
  return router;
}

function hono(): Hono {
  const app = new Hono();
  // Hono answers with the route mounted first; mounting plain paths first makes both orders one.
  for (const path of ROUTES.toSorted((one, other) => Number(one.includes(":")) - Number(other.includes(":"))))
    app.get(path, (c) => c.json({ path, params: c.req.param() }));
  app.post("/a", (c) => c.text("posted"));
  return app;
}

describe("Router", () => {
  it.each(PATHS)("routes %s as Hono does", async (path) => {
    for (const method of ["GET", "POST", "HEAD", "DELETE"]) {
      const request = new Request(`https://edgewise.test${path}`, { method });
      const [answer, expected] = [await ownRouter().fetch(request, execution), await hono().fetch(request)];
      expect([method, answer.status, await answer.text()]).toEqual([method, expected.status, await expected.text()]);
    }
  });

  it("answers for a handler that throws", async () => {
    const router = ownRouter();
    router.on("GET", "/broken", () => {
      throw new Error("broken");
    });
    router.on("GET", "/broken/:later", () => Promise.reject(new Error("broken")));
    for (const path of ["/broken", "/broken/1"])
      expect((await router.fetch(new Request(`https://edgewise.test${path}`), execution)).status).toBe(500);
  });

  it("refuses middleware, which it would pass over", () => {
    expect(() => ownRouter().on("GET", "/a/*", () => new Response())).toThrow("one by one");
  });
});
