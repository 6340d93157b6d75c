import { getSchema, listSchemas, openApiDocument, reference } from "../../models/contract/api/system.ts";
import type { RouteDefinition } from "../../models/contract/api/define.ts";
import { jsonSchema, SCHEMA_ENTRIES } from "../../models/contract/json-schemas.ts";
import { CONTRACT_VERSION } from "../../models/contract/version.ts";
import { Failure } from "../http/failure.ts";
import { type HttpDeps, mount } from "../http/mount.ts";
import type { App } from "../http/mount.ts";
import { errorsPage, referencePage } from "./pages.ts";
import { openApi } from "./open-api.ts";

export interface ReferenceDeps {
  /** The operations that are mounted: the document describes these and no others. */
  readonly routes: readonly RouteDefinition[];
  /** Static files of the reference page. */
  readonly asset: (name: string) => Promise<Response>;
}

/** Files of the page, and nothing else of the package they come from. */
const ASSETS = ["swagger-ui.css", "swagger-ui-bundle.js", "favicon-32x32.png"];

/** The API document, the page made from it, and the JSON Schemas: open to everyone. */
export function mountReference(app: App, http: HttpDeps, deps: ReferenceDeps): void {
  let document: string | null = null;
  mount(app, http, openApiDocument, () => {
    document ??= JSON.stringify(openApi(deps.routes, `${CONTRACT_VERSION}.0.0`));
    return new Response(document, { headers: { "content-type": "application/json" } });
  });

  app.get("/", (c) => (c.req.header("accept")?.includes("text/html") === true ? c.redirect("/docs") : c.json(ENTRY)));
  mount(app, http, reference, () => page(referencePage()));
  app.get("/docs/errors", () => page(errorsPage()));
  app.get(
    "/docs/init.js",
    () => new Response(INIT_SCRIPT, { headers: { "content-type": "text/javascript; charset=utf-8" } }),
  );
  for (const name of ASSETS) app.get(`/docs/${name}`, () => deps.asset(name));

  mount(app, http, listSchemas, () =>
    Response.json({
      contractVersion: CONTRACT_VERSION,
      schemas: SCHEMA_ENTRIES.map((entry) => ({ ...entry, href: `/api/v1/schemas/${entry.name}` })),
    }),
  );

  mount(app, http, getSchema, ({ params }) => {
    const schema = jsonSchema(params.schema);
    if (!schema) return new Failure("schema-not-found");
    return new Response(JSON.stringify(schema), { headers: { "content-type": "application/schema+json" } });
  });
}

/** What a client that asks at the root is told; a browser is led to the page. */
const ENTRY = {
  name: "Edgewise",
  contractVersion: CONTRACT_VERSION,
  reference: "/docs",
  errors: "/docs/errors",
  openapi: "/openapi.json",
  schemas: "/api/v1/schemas",
  health: "/healthz",
};

const INIT_SCRIPT = `SwaggerUIBundle({ url: "/openapi.json", dom_id: "#reference", deepLinking: true, docExpansion: "list" });`;

/** No inline script, nothing from elsewhere; the reference's own style sheet needs inline styles and data images. */
const CONTENT_SECURITY_POLICY =
  "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; frame-ancestors 'none'";

function page(html: string): Response {
  return new Response(html, {
    headers: { "content-type": "text/html; charset=utf-8", "content-security-policy": CONTENT_SECURITY_POLICY },
  });
}
