import * as z from "zod";

/** Longest identifier accepted from outside, in characters: fits KV keys (512 B) beside tenant and prefix. */
export const MAX_ID_LENGTH = 128;

/** An identifier chosen by the shop: printable, no spaces, slashes or colons, so that it can be part of a key. */
export const Id = z
  .string()
  .min(1)
  .max(MAX_ID_LENGTH)
  .regex(/^[A-Za-z0-9][A-Za-z0-9._~@+=-]*$/, "letters, digits and . _ ~ @ + = - only, starting with a letter or digit")
  .meta({
    id: "Id",
    description: "Identifier, 1–128 characters of letters, digits and . _ ~ @ + = -",
    example: "ord-10001",
  });

/** What stands for a personal identifier in everything stored: `p` and 132 bits of a keyed MAC in base64url. */
export const Pseudonym = z.string().regex(/^p[A-Za-z0-9_-]{22}$/);

export const TenantId = z
  .string()
  .regex(/^[a-z0-9][a-z0-9-]{0,31}$/)
  .meta({ id: "TenantId", description: "Tenant, lower case, at most 32 characters", example: "default" });
export type TenantId = z.infer<typeof TenantId>;

/** RFC 3339 with an offset; stored as given, compared as epoch milliseconds. */
export const Timestamp = z.iso
  .datetime({ offset: true })
  .meta({ id: "Timestamp", description: "RFC 3339 date-time with offset", example: "2026-03-01T12:30:00Z" });

export const CurrencyCode = z
  .string()
  .regex(/^[A-Z]{3}$/)
  .meta({ id: "CurrencyCode", description: "ISO 4217 code", example: "EUR" });

/** 10^12 minor units: above any honest order, far below the integers a double holds exactly. */
export const MAX_MINOR_UNITS = 1_000_000_000_000;

export const Money = z
  .strictObject({
    amount: z.int().min(0).max(MAX_MINOR_UNITS).meta({ description: "Integer minor units (cents)" }),
    currency: CurrencyCode,
  })
  .meta({ id: "Money", description: "An amount of money in minor units", example: { amount: 4999, currency: "EUR" } });
export type Money = z.infer<typeof Money>;

export const CountryCode = z
  .string()
  .regex(/^[A-Z]{2}$/)
  .meta({ id: "CountryCode", description: "ISO 3166-1 alpha-2", example: "DE" });

export const Probability = z.number().min(0).max(1);

/** Lower-case hexadecimal SHA-256. */
export const Sha256 = z
  .string()
  .regex(/^[0-9a-f]{64}$/)
  .meta({ id: "Sha256", description: "SHA-256, 64 lower-case hexadecimal digits" });

export const ModelName = z
  .string()
  .regex(/^[a-z][a-z0-9-]{0,47}$/)
  .meta({ id: "ModelName", description: "Model name", example: "fraud-orders" });

/** A model version is the SHA-256 of its manifest's content, so it names exactly one artefact. */
export const ModelVersion = Sha256.meta({ id: "ModelVersion", description: "Content hash of a model version" });

/** A name in a closed vocabulary of ours: features, services, metrics. */
export const SnakeName = z.string().regex(/^[a-z][a-z0-9_]{0,95}$/);
