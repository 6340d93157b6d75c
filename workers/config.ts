import * as z from "zod";
import { parsePublicKeys, type PublicKey } from "../models/contract/signing-key.ts";
import { type HotEntity, parseHotEntities } from "./features/replicas.ts";

function hotEntities(text: string, context: z.RefinementCtx): HotEntity[] {
  try {
    return parseHotEntities(text);
  } catch (error) {
    context.addIssue({ code: "custom", message: error instanceof Error ? error.message : String(error) });
    return z.NEVER;
  }
}

const Variables = z.object({
  ENVIRONMENT: z.enum(["development", "staging", "production"]),
  JWT_ISSUER: z.string().min(1),
  JWT_AUDIENCE: z.string().min(1),
  JWKS_URL: z.union([z.literal(""), z.url({ protocol: /^https$/ })]),
  JWT_SECRET: z.string().min(32, "at least 32 characters").optional(),
  PSEUDONYM_KEY: z.string().min(32, "at least 32 characters"),
  ENTITY_SHARD_OBJECTS: z.coerce.number().int().min(1).max(1_024),
  HOT_ENTITIES: z.string().default("").transform(hotEntities),
  DECISION_SHARD_OBJECTS: z.coerce.number().int().min(1).max(1_024),
  VISITOR_SHARD_OBJECTS: z.coerce.number().int().min(1).max(1_024),
  RECOMMENDATION_CONTROL_SHARE: z.coerce.number().min(0).max(0.5),
  JURISDICTION: z.enum(["", "eu", "us", "fedramp"]),
  VECTOR_INDEX: z.enum(["embedded", "vectorize"]).default("embedded"),
  VECTOR_DIMENSIONS: z.coerce.number().int().min(1).max(1_536).default(64),
  VECTOR_HEAD_ITEMS: z.coerce.number().int().min(0).max(1_000_000).default(50_000),
  MODEL_PUBLIC_KEYS: z.string().transform((text, context) => {
    try {
      return parsePublicKeys(text);
    } catch (error) {
      context.addIssue({ code: "custom", message: error instanceof Error ? error.message : String(error) });
      return z.NEVER;
    }
  }),
});

/** Where Durable Objects may live. */
export type Jurisdiction = "eu" | "us" | "fedramp";

/** The deployment's Vectorize index. */
export interface VectorIndexConfig {
  /** As the index was created with. */
  readonly dimensions: number;
  /** Most popular items whose vectors stay in the isolate: about 70 bytes each at 64 dimensions. */
  readonly headItems: number;
}

/** Where tokens are verified: with published keys, or with a shared secret in development. */
export type TokenVerification =
  | { readonly kind: "jwks"; readonly url: string }
  | { readonly kind: "secret"; readonly secret: string };

export interface Config {
  readonly environment: "development" | "staging" | "production";
  readonly tokens: TokenVerification;
  readonly issuer: string;
  readonly audience: string;
  readonly pseudonymKey: string;
  readonly entityShardObjects: number;
  /** Entities kept in several parts, each in a shard of its own. */
  readonly hotEntities: readonly HotEntity[];
  readonly decisionShardObjects: number;
  readonly visitorShardObjects: number;
  /** Share of visitors whose lists are made without the recommender, so that its effect can be told. */
  readonly recommendationControlShare: number;
  readonly jurisdiction: Jurisdiction | null;
  /** Where embeddings of recommenders are searched beyond the head; null: all of them are in the isolate. */
  readonly vectorIndex: VectorIndexConfig | null;
  /** Whose manifests are believed; empty: everybody's, which production does not allow. */
  readonly modelPublicKeys: readonly PublicKey[];
}

/** Checks the environment once per isolate. Throws with every wrong variable named, and how to set it. */
export function readConfig(env: object): Config {
  const parsed = Variables.safeParse(env);
  if (!parsed.success) {
    const wrong = parsed.error.issues.map((issue) => `${issue.path.join(".")}: ${issue.message}`).join("; ");
    throw new Error(
      `Configuration: ${wrong}. Set variables in wrangler.toml and secrets with "wrangler secret put NAME".`,
    );
  }
  const variables = parsed.data;
  if (variables.ENVIRONMENT === "production" && variables.MODEL_PUBLIC_KEYS.length === 0) {
    throw new Error(
      'Configuration: MODEL_PUBLIC_KEYS is empty, so anybody with access to the bucket could make a model serve. Run "edgewise keys generate" ' +
        "and put the public key into wrangler.toml.",
    );
  }
  return {
    environment: variables.ENVIRONMENT,
    tokens: tokenVerification(variables),
    issuer: variables.JWT_ISSUER,
    audience: variables.JWT_AUDIENCE,
    pseudonymKey: variables.PSEUDONYM_KEY,
    entityShardObjects: variables.ENTITY_SHARD_OBJECTS,
    hotEntities: variables.HOT_ENTITIES,
    decisionShardObjects: variables.DECISION_SHARD_OBJECTS,
    visitorShardObjects: variables.VISITOR_SHARD_OBJECTS,
    recommendationControlShare: variables.RECOMMENDATION_CONTROL_SHARE,
    jurisdiction: variables.JURISDICTION === "" ? null : variables.JURISDICTION,
    vectorIndex: vectorIndex(variables, env),
    modelPublicKeys: variables.MODEL_PUBLIC_KEYS,
  };
}

function vectorIndex(variables: z.infer<typeof Variables>, env: object): VectorIndexConfig | null {
  if (variables.VECTOR_INDEX === "embedded") return null;
  const { VECTOR_DIMENSIONS: dimensions, VECTOR_HEAD_ITEMS: headItems } = variables;
  if (!("VECTORS" in env) || env.VECTORS === undefined) {
    throw new Error(
      'Configuration: VECTOR_INDEX is "vectorize", but there is no binding VECTORS. Create the index with "wrangler vectorize create NAME ' +
        `--dimensions=${dimensions} --metric=dot-product" and bind it in wrangler.toml ([[vectorize]]), or set VECTOR_INDEX to "embedded".`,
    );
  }
  if (variables.JURISDICTION !== "") {
    throw new Error(
      'Configuration: Vectorize has no jurisdiction, and what a visitor likes would leave it with every query. Set VECTOR_INDEX to "embedded" where JURISDICTION is set.',
    );
  }
  return { dimensions, headItems };
}

function tokenVerification(variables: z.infer<typeof Variables>): TokenVerification {
  if (variables.JWKS_URL !== "") return { kind: "jwks", url: variables.JWKS_URL };
  if (variables.ENVIRONMENT === "production") {
    throw new Error(
      "Configuration: JWKS_URL is required in production; a shared secret is for development and staging.",
    );
  }
  if (variables.JWT_SECRET === undefined) {
    throw new Error(
      'Configuration: JWT_SECRET is missing. Put it into .dev.vars, or run "wrangler secret put JWT_SECRET".',
    );
  }
  return { kind: "secret", secret: variables.JWT_SECRET };
}
