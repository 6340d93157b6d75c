import { exportJWK, generateKeyPair, SignJWT, UnsecuredJWT } from "jose";
import { describe, expect, it } from "vitest";
import {
  API_KEY_PREFIX,
  Authenticator,
  credentialOf,
  sha256Hex,
  type StoredApiKey,
} from "../../../../workers/http/authenticator.ts";

const SECRET = "a".repeat(40);
const NOW = Date.parse("2026-03-01T12:00:00Z");
const config = { tokens: { kind: "secret" as const, secret: SECRET }, issuer: "https://issuer", audience: "edgewise" };

interface Claims {
  secret?: string;
  issuer?: string;
  audience?: string;
  subject?: string | null;
  expiresInSeconds?: number | null;
  claims?: Record<string, unknown>;
  algorithm?: string;
}

async function token(options: Claims = {}): Promise<string> {
  const jwt = new SignJWT(options.claims ?? { roles: ["client"] })
    .setProtectedHeader({ alg: options.algorithm ?? "HS256" })
    .setIssuer(options.issuer ?? "https://issuer")
    .setAudience(options.audience ?? "edgewise");
  if (options.subject !== null) jwt.setSubject(options.subject ?? "shop");
  if (options.expiresInSeconds !== null) jwt.setExpirationTime(NOW / 1_000 + (options.expiresInSeconds ?? 60));
  return await jwt.sign(new TextEncoder().encode(options.secret ?? SECRET));
}

function authenticator(keys: Record<string, StoredApiKey> = {}) {
  const lookups: string[] = [];
  const subject = new Authenticator({
    config,
    apiKeyByHash: async (hash) => {
      lookups.push(hash);
      return keys[hash] ?? null;
    },
  });
  return { subject, lookups };
}

describe("tokens", () => {
  it("gives the identity of a valid token, with the roles we know and the default tenant", async () => {
    const { subject } = authenticator();
    const verified = await subject.verify(
      await token({ claims: { roles: ["client", "someone-elses-role", "trainer"] } }),
      NOW,
    );
    expect(verified).toEqual({ ok: true, value: { tenant: "default", subject: "shop", roles: ["client", "trainer"] } });
  });

  it.each<[string, Claims]>([
    ["signed with another secret", { secret: "b".repeat(40) }],
    ["of another issuer", { issuer: "https://elsewhere" }],
    ["for another audience", { audience: "other" }],
    ["that has expired", { expiresInSeconds: -60 }],
    ["without an expiry", { expiresInSeconds: null }],
    ["without a subject", { subject: null }],
    ["with another algorithm of the same family", { algorithm: "HS512" }],
    ["with roles that are no list", { claims: { roles: "admin" } }],
    ["with a tenant that is no name", { claims: { roles: [], tenant: "../other" } }],
  ])("refuses a token %s", async (_name, options) => {
    const { subject } = authenticator();
    expect((await subject.verify(await token(options), NOW)).ok).toBe(false);
  });

  it("refuses an unsigned token and a tampered one", async () => {
    const { subject } = authenticator();
    const unsigned = new UnsecuredJWT({ roles: ["admin"] })
      .setSubject("x")
      .setIssuer("https://issuer")
      .setAudience("edgewise")
      .setExpirationTime("1h")
      .encode();
    expect((await subject.verify(unsigned, NOW)).ok).toBe(false);
    const [header, , signature] = (await token()).split(".");
    const payload = btoa(
      JSON.stringify({ sub: "x", roles: ["admin"], iss: "https://issuer", aud: "edgewise", exp: NOW }),
    );
    expect((await subject.verify(`${header}.${payload}.${signature}`, NOW)).ok).toBe(false);
  });

  it("refuses a token signed with the public key as if it were a shared secret (algorithm confusion)", async () => {
    const { publicKey } = await generateKeyPair("ES256", { extractable: true });
    const published = JSON.stringify(await exportJWK(publicKey));
    const withKeys = new Authenticator({
      config: { ...config, tokens: { kind: "jwks", url: "https://keys.invalid/jwks.json" } },
      apiKeyByHash: async () => null,
    });
    expect((await withKeys.verify(await token({ secret: published }), NOW)).ok).toBe(false);
  });

  it("remembers a verified token until it expires, and no longer", async () => {
    const { subject } = authenticator();
    const credential = await token({ expiresInSeconds: 60 });
    expect(subject.remembered(credential, NOW)).toBeNull();
    await subject.verify(credential, NOW);
    expect(subject.remembered(credential, NOW + 59_999)?.subject).toBe("shop");
    expect(subject.remembered(credential, NOW + 60_000)).toBeNull();
  });
});

describe("API keys", () => {
  const key = `${API_KEY_PREFIX}secret`;
  const stored: StoredApiKey = { tenant: "acme", subject: "till", roles: ["client"], expiresAt: null, revokedAt: null };

  it("are looked up by hash, once, and again after half a minute", async () => {
    const { subject, lookups } = authenticator({ [await sha256Hex(key)]: stored });
    expect(await subject.verify(key, NOW)).toEqual({
      ok: true,
      value: { tenant: "acme", subject: "till", roles: ["client"] },
    });
    expect(subject.remembered(key, NOW + 29_999)?.tenant).toBe("acme");
    expect(subject.remembered(key, NOW + 30_000)).toBeNull();
    expect(lookups).toEqual([await sha256Hex(key)]);
    expect(lookups[0]).not.toContain("secret");
  });

  it("are refused when unknown, revoked or expired", async () => {
    const hash = await sha256Hex(key);
    expect((await authenticator().subject.verify(key, NOW)).ok).toBe(false);
    expect((await authenticator({ [hash]: { ...stored, revokedAt: 1 } }).subject.verify(key, NOW)).ok).toBe(false);
    expect((await authenticator({ [hash]: { ...stored, expiresAt: NOW } }).subject.verify(key, NOW)).ok).toBe(false);
  });
});

describe("credentialOf", () => {
  const of = (headers: Record<string, string>): string | null => credentialOf(new Headers(headers));
  it("reads a bearer token or an API key header, and nothing else", () => {
    expect(of({ authorization: "Bearer abc" })).toBe("abc");
    expect(of({ authorization: "bearer abc" })).toBe("abc");
    expect(of({ "x-api-key": "ewk_1" })).toBe("ewk_1");
    expect(of({ authorization: "Basic abc" })).toBeNull();
    expect(of({ authorization: "Bearer a b" })).toBeNull();
    expect(of({})).toBeNull();
  });
});
