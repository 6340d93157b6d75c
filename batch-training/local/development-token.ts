import { SignJWT } from "jose";
import type { Role } from "../../models/contract/auth.ts";

/** Issuer and audience of wrangler.toml's development variables. */
const ISSUER = "https://edgewise.local";
const AUDIENCE = "edgewise";

/** A token for the local server, signed with its shared secret. Valid for twelve hours: a working day. */
export async function developmentToken(secret: string, subject: string, roles: readonly Role[]): Promise<string> {
  return await new SignJWT({ roles })
    .setProtectedHeader({ alg: "HS256" })
    .setSubject(subject)
    .setIssuer(ISSUER)
    .setAudience(AUDIENCE)
    .setIssuedAt()
    .setExpirationTime("12h")
    .sign(new TextEncoder().encode(secret));
}
