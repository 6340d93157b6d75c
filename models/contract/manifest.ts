import * as z from "zod";
import { ModelName, ModelVersion, Probability, Sha256, SnakeName } from "./primitives.ts";

/** Largest artefact file, in bytes: an isolate has 128 MB, and two sessions live side by side during a swap. */
export const MAX_MODEL_FILE_BYTES = 32 * 1024 * 1024;
/** Files of one version, the manifest not counted. */
export const MAX_MODEL_FILES = 16;

export const ModelKind = z.enum(["fraud", "ranking", "retrieval", "anomaly", "moderation"]).meta({ id: "ModelKind" });
export type ModelKind = z.infer<typeof ModelKind>;

export const ModelFilePath = z
  .string()
  .regex(/^[a-z0-9][a-z0-9._-]{0,63}$/)
  .meta({ description: "File name inside the version, no folders", example: "model.onnx" });

export const ModelFile = z
  .strictObject({ path: ModelFilePath, sha256: Sha256, bytes: z.int().min(1).max(MAX_MODEL_FILE_BYTES) })
  .meta({ id: "ModelFile" });

export const Metric = z
  .strictObject({
    name: z.string().regex(/^[a-z][a-z0-9_@.]{0,63}$/),
    slice: z.string().max(64).meta({ description: "Part of the data the figure is about", example: "test" }),
    value: z.number(),
    low: z.number().nullable().meta({ description: "Lower end of the 95 % bootstrap interval" }),
    high: z.number().nullable(),
  })
  .meta({ id: "Metric" });
export type Metric = z.infer<typeof Metric>;

/** From score to outcome: review at or above the first, decline at or above the second. */
export const FraudPolicy = z
  .strictObject({ reviewAt: Probability, declineAt: Probability })
  .refine((policy) => policy.reviewAt <= policy.declineAt, "reviewAt must not exceed declineAt")
  .meta({ id: "FraudPolicy" });
export type FraudPolicy = z.infer<typeof FraudPolicy>;

/**
 * Rows that a loaded model must reproduce before it may serve. `null` stands for a missing value (NaN).
 * Inputs are float32 values written as decimals, so they survive JSON exactly.
 */
export const GoldenVectors = z
  .strictObject({
    tolerance: z.number().positive().meta({ description: "Largest absolute difference of a score" }),
    rows: z
      .array(
        z.strictObject({
          vector: z.array(z.number().nullable()).max(1_024),
          score: z.array(z.number()).min(1).max(64),
        }),
      )
      .min(1)
      .max(256),
  })
  .meta({ id: "GoldenVectors" });
export type GoldenVectors = z.infer<typeof GoldenVectors>;

export const Lineage = z
  .strictObject({
    runId: z.string().max(128),
    dataHash: Sha256.meta({ description: "SHA-256 over the training rows in order" }),
    codeVersion: z.string().max(64),
    parent: ModelVersion.nullable().meta({ description: "The champion it was compared with" }),
    trainedFrom: z.int().meta({ description: "Epoch milliseconds of the first training row" }),
    trainedTo: z.int(),
    rows: z.int().min(0),
    parameters: z.record(z.string(), z.union([z.string(), z.number(), z.boolean()])),
  })
  .meta({ id: "Lineage" });

/** Columns of a ranking vector at most: what the log keeps of every item shown. */
const MAX_RANKING_FEATURES = 64;

/** What the manifest of a recommender adds (kind `retrieval`): its golden rows are histories of item indices, see models/recommend/golden.ts. */
export const RecommenderFacts = z
  .strictObject({
    format: z.literal(1).meta({ description: "Of the files `items.bin` and `retrieval.bin`" }),
    items: z.int().min(1),
    catalogue: Sha256.meta({ description: "Names the catalogue that item indices count in" }),
    sources: z.array(z.string().max(64)).max(64),
    ranker: z
      .strictObject({ features: z.array(SnakeName).max(MAX_RANKING_FEATURES), golden: GoldenVectors })
      .nullable()
      .meta({ description: "The second stage, `ranker.onnx`; its golden rows are ranking vectors" }),
  })
  .meta({ id: "RecommenderFacts" });
export type RecommenderFacts = z.infer<typeof RecommenderFacts>;

const content = {
  v: z.literal(1),
  name: ModelName,
  kind: ModelKind,
  engine: z.enum(["compact", "ort"]),
  engineReason: z.string().max(300),
  input: z.strictObject({ name: z.string().max(128), width: z.int().min(1).max(1_024) }),
  output: z.strictObject({ name: z.string().max(128), width: z.int().min(1).max(1_024) }),
  featureService: z.strictObject({ name: z.string().max(96), hash: Sha256 }),
  fitted: z
    .record(z.string(), z.unknown())
    .meta({ description: "Parameters fitted by training: means, vocabularies, bins" }),
  policy: FraudPolicy.nullable(),
  explanation: z.enum(["exact", "none"]),
  metrics: z.array(Metric).max(256),
  costs: z.strictObject({ residentBytes: z.int().min(0) }),
  lineage: Lineage,
  files: z.array(ModelFile).min(1).max(MAX_MODEL_FILES),
  golden: GoldenVectors,
  recommender: RecommenderFacts.optional(),
};

/** What the version hashes: everything about the artefact, no clock, no signature. */
export const ManifestContent = z.object(content).meta({ id: "ManifestContent" });
export type ManifestContent = z.infer<typeof ManifestContent>;

export const Manifest = z
  .object({
    ...content,
    version: ModelVersion,
    signature: z
      .strictObject({ algorithm: z.literal("Ed25519"), keyId: z.string().max(64), value: z.string().max(128) })
      .nullable(),
  })
  .meta({
    id: "Manifest",
    description: "A published model version. Written last; its version is the SHA-256 of its content.",
  });
export type Manifest = z.infer<typeof Manifest>;

/** The part of a manifest that its version and its signature cover. */
export function manifestContent(manifest: Manifest): ManifestContent {
  const { version: _version, signature: _signature, ...rest } = manifest;
  return rest;
}
