import type { DrizzleD1Database } from "drizzle-orm/d1";
import { type ApiKeyRow, apiKeysOf, insertApiKey, revokeApiKeyRow } from "../../d1/queries/api-keys.ts";
import { type ApiKey, createApiKey, listApiKeys, revokeApiKey } from "../../models/contract/api/system.ts";
import type { Role } from "../../models/contract/auth.ts";
import { API_KEY_PREFIX, sha256Hex } from "../http/authenticator.ts";
import { Failure } from "../http/failure.ts";
import { type HttpDeps, mount } from "../http/mount.ts";
import type { App } from "../http/mount.ts";

/** 256 bits: beyond guessing, and no slow hash is needed to store it. */
const KEY_BYTES = 32;

/** Keys for machines: created, listed and revoked by an admin; only the hash is stored. */
export interface ApiKeyDeps {
  readonly db: DrizzleD1Database;
}

export function mountApiKeys(app: App, http: HttpDeps, deps: ApiKeyDeps): void {
  mount(app, http, createApiKey, async ({ body }, { identity, now }) => {
    const key = API_KEY_PREFIX + base64Url(crypto.getRandomValues(new Uint8Array(KEY_BYTES)));
    const row: ApiKeyRow = {
      keyId: crypto.randomUUID(),
      tenant: identity.tenant,
      keyHash: await sha256Hex(key),
      subject: body.subject,
      roles: body.roles,
      createdAt: now,
      expiresAt: body.expiresInDays === undefined ? null : now + body.expiresInDays * 86_400_000,
      revokedAt: null,
    };
    await insertApiKey(deps.db, row);
    return Response.json({ ...publicKey(row), key }, { status: 201 });
  });

  mount(app, http, listApiKeys, async (_input, { identity }) => {
    const rows = await apiKeysOf(deps.db, identity.tenant);
    return Response.json({ keys: rows.map(publicKey) });
  });

  mount(app, http, revokeApiKey, async ({ params }, { identity, now }) => {
    const row = await revokeApiKeyRow(deps.db, identity.tenant, params.keyId, now);
    return row ? Response.json(publicKey(row)) : new Failure("key-not-found");
  });
}

function publicKey(row: ApiKeyRow): ApiKey {
  const { keyHash: _keyHash, roles, ...rest } = row;
  return { ...rest, roles: roles as Role[] };
}

function base64Url(bytes: Uint8Array): string {
  return btoa(String.fromCharCode(...bytes))
    .replaceAll("+", "-")
    .replaceAll("/", "_")
    .replaceAll("=", "");
}
