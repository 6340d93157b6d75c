import * as z from "zod";
import { TenantId } from "./primitives.ts";

/** What an identity may do. Routes name the roles that open them; `admin` opens every route. */
export const Role = z.enum(["producer", "importer", "client", "analyst", "trainer", "operator", "admin"]).meta({
  id: "Role",
  description:
    "producer: send events; importer: send events with recordedtime; client: ask for decisions; analyst: read decisions; " +
    "trainer: read logs, publish models; operator: promote, roll back, dead letters, metrics; admin: everything, API keys",
});
export type Role = z.infer<typeof Role>;

/** Claims that a bearer token must carry beside the registered ones (iss, aud, exp, sub). */
export const TokenClaims = z.object({
  sub: z.string().min(1).max(128),
  exp: z.number(),
  roles: z.array(z.string().max(32)).max(16),
  tenant: TenantId.default("default"),
});

/** A verified caller. */
export interface Identity {
  readonly tenant: string;
  readonly subject: string;
  readonly roles: readonly Role[];
}
