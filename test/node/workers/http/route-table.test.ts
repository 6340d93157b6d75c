import { Hono } from "hono";
import { describe, expect, it } from "vitest";
import { RouteTable } from "../../../../workers/http/route-table.ts";

const ROUTES = ["/a", "/a/:id", "/a/:id/b", "/a/fixed", "/a/fixed/:name/loads", "/c/:x/d/:y"];

function appWith(router: RouteTable<never> | undefined): Hono {
  const app = new Hono(router ? { router } : {});
  // Hono's own routers answer with the route mounted first; mounting plain paths first makes both orders one.
  for (const path of ROUTES.toSorted((one, other) => Number(one.includes(":")) - Number(other.includes(":")))) {
    app.get(path, (c) => c.json({ path, params: c.req.param() }));
  }
  app.post("/a", (c) => c.text("posted"));
  return app;
}

describe("RouteTable", () => {
  it("routes as Hono's own router does", async () => {
    const own = appWith(new RouteTable());
    const reference = appWith(undefined);
    for (const path of [
      "/a",
      "/a/7",
      "/a/7/b",
      "/a/fixed",
      "/a/fixed/g/loads",
      "/c/1/d/2",
      "/nothing",
      "/a/7/x",
      "/",
    ]) {
      for (const method of ["GET", "POST", "HEAD", "DELETE"]) {
        const [answer, expected] = [await own.request(path, { method }), await reference.request(path, { method })];
        expect([path, method, answer.status, await answer.text()]).toEqual([
          path,
          method,
          expected.status,
          await expected.text(),
        ]);
      }
    }
  });

  it("refuses middleware, which it would pass over", () => {
    expect(() => new RouteTable().add("ALL", "*", null)).toThrow("middleware");
  });
});
