import * as z from "zod";
import { ModelName, ModelVersion } from "../primitives.ts";
import { defineRoute } from "./define.ts";

export const VECTOR_STATES = {
  embedded: "this deployment searches embeddings in its isolates: nothing has to be written",
  none: "the version has no embeddings beyond those that an isolate holds",
  writing: "not all of its vectors are written and visible; ask again",
  ready: "queries see all of its vectors: it may be promoted",
  removing: "its vectors are being removed, because other versions serve; ask again to have them written anew",
} as const;

export const VersionVectors = z
  .strictObject({
    state: z.enum(Object.keys(VECTOR_STATES) as [keyof typeof VECTOR_STATES, ...(keyof typeof VECTOR_STATES)[]]).meta({
      description: Object.entries(VECTOR_STATES)
        .map(([state, text]) => `${state}: ${text}`)
        .join("; "),
    }),
    vectors: z.int().min(0).meta({ description: "That belong into the index" }),
    done: z.int().min(0).meta({ description: "Written or, while removing, removed" }),
  })
  .meta({ id: "VersionVectors", description: "Where a version's vectors are on their way into the vector index" });
export type VersionVectors = z.infer<typeof VersionVectors>;

export const VectorCleanup = z
  .strictObject({
    removing: z.array(z.strictObject({ version: ModelVersion, vectors: z.int().min(0), done: z.int().min(0) })),
    done: z.boolean().meta({ description: "Nothing is left that could be removed now" }),
  })
  .meta({ id: "VectorCleanup" });
export type VectorCleanup = z.infer<typeof VectorCleanup>;

export const writeVectors = defineRoute({
  operationId: "writeVersionVectors",
  method: "post",
  path: "/api/v1/models/{name}/versions/{version}/vectors",
  tag: "Models",
  summary: "Write the next part of a version's vectors into the vector index",
  description:
    "Each call writes up to ten thousand vectors, or looks whether what was written is visible; repeat it until the state is not `writing`. What an " +
    "interrupted call has written is not written again. A version whose vectors are needed and not `ready` is refused at promotion.",
  access: ["trainer", "operator"],
  params: z.strictObject({ name: ModelName, version: ModelVersion }),
  responses: { 200: { description: "How far it is", schema: VersionVectors } },
  errors: ["invalid-request", "version-not-found", "vectors-refused", "unavailable"],
});

export const cleanUpVectors = defineRoute({
  operationId: "cleanUpVectors",
  method: "post",
  path: "/api/v1/models/{name}/vectors/cleanup",
  tag: "Models",
  summary: "Remove the next part of the vectors of versions that neither serve nor are gone back to",
  description:
    "Vectors of the serving version, of the one before it and of the one that a rollback would go back to stay, and those of a version that was written or " +
    "promoted within the last hour. Repeat it until `done`.",
  access: ["trainer", "operator"],
  params: z.strictObject({ name: ModelName }),
  responses: { 200: { description: "What is being removed", schema: VectorCleanup } },
  errors: ["invalid-request", "unavailable"],
});
