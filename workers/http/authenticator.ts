import { createRemoteJWKSet, errors, type JWTPayload, type JWTVerifyGetKey, jwtVerify } from "jose";
import { type Identity, Role, TokenClaims } from "../../models/contract/auth.ts";
import { err, ok, type Result } from "../../models/result.ts";
import type { Config } from "../config.ts";

/** Prefix of our API keys, so that a leaked one is recognised by scanners, and never tried as a token. */
export const API_KEY_PREFIX = "ewk_";

/** Only asymmetric algorithms with published keys; only the one symmetric algorithm with the shared secret. */
const ASYMMETRIC_ALGORITHMS = ["ES256", "RS256", "EdDSA"];
const SYMMETRIC_ALGORITHMS = ["HS256"];

/** Clock difference tolerated between us and the issuer, in seconds. */
const CLOCK_TOLERANCE_SECONDS = 5;
/** Longest token read: ours are under 1 KB. */
const MAX_CREDENTIAL_LENGTH = 4_096;
/** Verified credentials remembered by an isolate. */
const MAX_REMEMBERED = 10_000;
/** An API key is looked up again after this long, so that a revocation is seen. */
const API_KEY_MEMORY_MS = 30_000;

export interface StoredApiKey {
  readonly tenant: string;
  readonly subject: string;
  readonly roles: readonly string[];
  readonly expiresAt: number | null;
  readonly revokedAt: number | null;
}

export interface AuthenticatorDeps {
  readonly config: Pick<Config, "tokens" | "issuer" | "audience">;
  readonly apiKeyByHash: (hash: string) => Promise<StoredApiKey | null>;
}

/** The reason goes to the log; the caller only learns that the credentials do not do. */
export interface AuthenticationError {
  readonly reason: string;
  /** True when nobody can tell now whether the credentials do. */
  readonly unavailable?: boolean;
}

interface Remembered {
  readonly identity: Identity;
  /** Epoch milliseconds until which no further check is needed. */
  readonly until: number;
}

/** Verifies bearer tokens and API keys. A credential that was verified is remembered by this isolate until it must be checked again. */
export class Authenticator {
  readonly #deps: AuthenticatorDeps;
  readonly #key: JWTVerifyGetKey | Uint8Array;
  readonly #algorithms: string[];
  readonly #remembered = new Map<string, Remembered>();

  constructor(deps: AuthenticatorDeps) {
    this.#deps = deps;
    const { tokens } = deps.config;
    this.#key =
      tokens.kind === "jwks" ? createRemoteJWKSet(new URL(tokens.url)) : new TextEncoder().encode(tokens.secret);
    this.#algorithms = tokens.kind === "jwks" ? ASYMMETRIC_ALGORITHMS : SYMMETRIC_ALGORITHMS;
  }

  /** The identity if this isolate verified the credential before: no I/O, no cryptography. */
  remembered(credential: string, now: number): Identity | null {
    const known = this.#remembered.get(credential);
    if (!known) return null;
    if (known.until > now) return known.identity;
    this.#remembered.delete(credential);
    return null;
  }

  async verify(credential: string, now: number): Promise<Result<Identity, AuthenticationError>> {
    if (credential.length > MAX_CREDENTIAL_LENGTH) return err({ reason: "credential too long" });
    const verified = credential.startsWith(API_KEY_PREFIX)
      ? await this.#verifyApiKey(credential, now)
      : await this.#verifyToken(credential, now);
    if (!verified.ok) return verified;
    if (this.#remembered.size >= MAX_REMEMBERED) this.#forgetOldest();
    this.#remembered.set(credential, verified.value);
    return ok(verified.value.identity);
  }

  #forgetOldest(): void {
    const oldest = this.#remembered.keys().next();
    if (!oldest.done) this.#remembered.delete(oldest.value);
  }

  async #verifyToken(token: string, now: number): Promise<Result<Remembered, AuthenticationError>> {
    let payload: JWTPayload;
    try {
      const options = {
        issuer: this.#deps.config.issuer,
        audience: this.#deps.config.audience,
        algorithms: this.#algorithms,
        requiredClaims: ["exp", "sub"],
        clockTolerance: CLOCK_TOLERANCE_SECONDS,
        currentDate: new Date(now),
      };
      const result =
        typeof this.#key === "function"
          ? await jwtVerify(token, this.#key, options)
          : await jwtVerify(token, this.#key, options);
      payload = result.payload;
    } catch (error) {
      return err({ reason: error instanceof errors.JOSEError ? error.code : String(error) });
    }
    const claims = TokenClaims.safeParse(payload);
    if (!claims.success) return err({ reason: "claims do not match" });
    const { sub, tenant, roles, exp } = claims.data;
    return ok({ identity: { tenant, subject: sub, roles: knownRoles(roles) }, until: exp * 1_000 });
  }

  async #verifyApiKey(key: string, now: number): Promise<Result<Remembered, AuthenticationError>> {
    let stored: StoredApiKey | null;
    try {
      stored = await this.#deps.apiKeyByHash(await sha256Hex(key));
    } catch (error) {
      return err({ reason: `API keys cannot be looked up: ${String(error)}`, unavailable: true });
    }
    if (!stored) return err({ reason: "unknown API key" });
    if (stored.revokedAt !== null) return err({ reason: "revoked API key" });
    if (stored.expiresAt !== null && stored.expiresAt <= now) return err({ reason: "expired API key" });
    const until = Math.min(now + API_KEY_MEMORY_MS, stored.expiresAt ?? Number.POSITIVE_INFINITY);
    return ok({ identity: { tenant: stored.tenant, subject: stored.subject, roles: knownRoles(stored.roles) }, until });
  }
}

/** The credential of a request: `Authorization: Bearer …` or `X-API-Key`. Null when there is none. */
export function credentialOf(headers: Headers): string | null {
  const authorization = headers.get("authorization");
  if (authorization !== null) return /^Bearer ([\x21-\x7e]+)$/i.exec(authorization)?.[1] ?? null;
  return headers.get("x-api-key");
}

/** Roles of another system in the same token are no business of ours. */
function knownRoles(roles: readonly string[]): Role[] {
  return roles.flatMap((role) => {
    const known = Role.safeParse(role);
    return known.success ? [known.data] : [];
  });
}

export async function sha256Hex(text: string): Promise<string> {
  const digest = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(text));
  return Array.from(new Uint8Array(digest), (byte) => byte.toString(16).padStart(2, "0")).join("");
}
