import {
  advanceVectors,
  changeVectorState,
  claimVectors,
  insertVectorRow,
  type VectorRow,
  vectorRow,
} from "../../d1/queries/version-vectors.ts";
import type { VersionVectors } from "../../models/contract/api/vectors.ts";
import type { Manifest } from "../../models/contract/manifest.ts";
import { ServedFileError } from "../../models/recommend/array-file.ts";
import { BUNDLE_FILES, decodeRetrieval } from "../../models/recommend/bundle.ts";
import { embeddingsBeyond } from "../../models/recommend/indexed-part.ts";
import type { ServedEmbeddings } from "../../models/recommend/served-recommender.ts";
import { storedVectors, vectorNamespace } from "../../models/recommend/vector-place.ts";
import { err, ok, type Result } from "../../models/result.ts";
import type { ArtefactPlace, ModelStore } from "../adapters/model-store.ts";
import { Unavailable } from "../unavailable.ts";
import { CALL_MS, type DeployedIndex, type VectorsDeps } from "./deployed-index.ts";
import { removePart } from "./remove-vectors.ts";

/** Writes of one call of the route: with the reads around them far below the subrequests of any plan, and a minute at worst. */
const WRITES = 10;
/** Vectors of one write, and their numbers at most: as text a number takes some ten bytes, and a Worker has 128 MB. */
const VECTORS_PER_WRITE = 1_000;
const NUMBERS_PER_WRITE = 262_144;
/** What is not visible by then is written again: batched writes take minutes. */
const REWRITE_AFTER_MS = 3_600_000;

export interface VectorsError {
  readonly code: "version-not-found" | "vectors-refused";
  readonly detail: string;
}

const settled = (state: VersionVectors["state"], vectors = 0): VersionVectors => ({ state, vectors, done: vectors });

/**
 * Writes the next part of a version's vectors, or looks whether what was written is visible. What is written is noted in D1 after each call, so that
 * a call that never came to its end costs at most its own part again; writing a vector twice changes nothing.
 * @throws Unavailable where a store or the index does not answer; what was written until then is noted
 */
export async function writeVectors(
  deps: VectorsDeps,
  place: ArtefactPlace,
): Promise<Result<VersionVectors, VectorsError>> {
  const { db, store, index } = deps;
  if (index === null) return ok(settled("embedded"));
  const manifest = await store.manifest(place);
  if (!manifest.ok) return err({ code: "version-not-found", detail: manifest.error.reason });
  if (!needsVectors(manifest.value, index.headItems)) return ok(settled("none"));
  const known = await vectorRow(db, place);
  if (known !== null) {
    if (known.state === "removing") {
      const left = await answering(() => removePart(deps, index, known));
      return ok(
        left.state === "removing" ? left : { state: "writing", vectors: known.items - known.fromItem, done: 0 },
      );
    }
    // The isolates may hold fewer items than when this was written: the ones between are missing.
    if (known.fromItem > index.headItems) return ok(await startAgain(deps, known, index.headItems));
    if (known.state === "ready") return ok(settled("ready", known.items - known.fromItem));
    if (known.next >= known.items) return ok(await answering(() => lookAt(deps, index, known)));
  }
  const part = await embeddingsOf(store, place, manifest.value);
  if (!part.ok) return part;
  const objection = await answering(() => objectionTo(index, part.value));
  if (objection !== null) return err({ code: "vectors-refused", detail: objection });
  const row = known ?? (await begun(deps, place, { fromItem: index.headItems, items: part.value.items }));
  return ok(await writePart(deps, index, { row, part: part.value }));
}

async function begun(
  { db, now }: VectorsDeps,
  place: ArtefactPlace,
  entry: { readonly fromItem: number; readonly items: number },
): Promise<VectorRow> {
  await insertVectorRow(db, place, { ...entry, now: now() });
  const row = await vectorRow(db, place);
  if (row?.state !== "writing") throw new Unavailable("the version's vectors are being changed by another call");
  return row;
}

/** Whether a version must have vectors in the index before it may serve. */
function needsVectors({ kind, recommender }: Manifest, headItems: number): boolean {
  return (
    kind === "retrieval" &&
    recommender !== undefined &&
    recommender.sources.includes("embeddings") &&
    recommender.items > headItems
  );
}

/**
 * Asked right before a version is made to serve: null where it may. From then on its vectors stay for at least an hour, whatever a
 * cleanup sees of the routing record.
 */
export async function claimForServing(
  { db, index, now }: Pick<VectorsDeps, "db" | "index" | "now">,
  tenant: string,
  manifest: Manifest,
): Promise<string | null> {
  if (index === null || !needsVectors(manifest, index.headItems)) return null;
  const key = { tenant, name: manifest.name, version: manifest.version };
  if (await claimVectors(db, key, { headItems: index.headItems, now: now() })) return null;
  const row = await vectorRow(db, key);
  const found =
    row === null ? "none are written" : `${row.next - row.fromItem} of ${row.items - row.fromItem} are written`;
  const written = row?.state === "removing" ? "they were removed" : found;
  return (
    `Items beyond the first ${index.headItems} are searched in the vector index, and of this version ${written} or not yet visible. Repeat ` +
    `POST /api/v1/models/${manifest.name}/versions/${manifest.version}/vectors until its state is "ready" ("edgewise promote" does so).`
  );
}

async function embeddingsOf(
  store: ModelStore,
  place: ArtefactPlace,
  manifest: Manifest,
): Promise<Result<ServedEmbeddings, VectorsError>> {
  const refuse = (detail: string): Result<never, VectorsError> => err({ code: "vectors-refused", detail });
  const entry = manifest.files.find(({ path }) => path === BUNDLE_FILES.retrieval);
  if (!entry) return refuse(`${BUNDLE_FILES.retrieval} is not among the files`);
  const bytes = await store.readFile(place, entry.path, entry.sha256);
  if (!bytes.ok) return refuse(bytes.error.reason);
  try {
    const part = embeddingsBeyond(decodeRetrieval(bytes.value).served, 0);
    return part === null || part.items !== manifest.recommender?.items
      ? refuse("the files do not hold the embeddings that the manifest describes")
      : ok(part);
  } catch (error) {
    if (error instanceof ServedFileError) return refuse(error.message);
    throw error;
  }
}

async function objectionTo({ search }: DeployedIndex, { dimensions }: ServedEmbeddings): Promise<string | null> {
  if (dimensions > search.dimensions) {
    return (
      `The version's vectors have ${dimensions} dimensions and the index ${search.dimensions}: train with fewer factors, or create an index with ` +
      "--dimensions of at least that, bind it, and set VECTOR_DIMENSIONS."
    );
  }
  return await search.objection();
}

async function writePart(
  deps: VectorsDeps,
  { search }: DeployedIndex,
  { row, part }: { readonly row: VectorRow; readonly part: ServedEmbeddings },
): Promise<VersionVectors> {
  const namespace = vectorNamespace(row.tenant, row.name, row.version);
  const perWrite = Math.max(1, Math.min(VECTORS_PER_WRITE, Math.floor(NUMBERS_PER_WRITE / search.dimensions)));
  const began = deps.now();
  let { next, ticket } = row;
  try {
    for (let write = 0; write < WRITES && next < row.items && deps.now() - began < CALL_MS; write++) {
      const to = Math.min(next + perWrite, row.items);
      const place = { namespace, from: next, to, dimensions: search.dimensions };
      ticket = await search.upsert(namespace, storedVectors(part, place));
      next = to;
    }
  } catch (error) {
    throw new Unavailable(`the vector index did not take vectors: ${String(error)}`);
  } finally {
    if (next > row.next) await advanceVectors(deps.db, row, { next, ticket, now: deps.now() });
  }
  return { state: "writing", vectors: row.items - row.fromItem, done: next - row.fromItem };
}

async function lookAt(deps: VectorsDeps, { search }: DeployedIndex, row: VectorRow): Promise<VersionVectors> {
  const vectors = row.items - row.fromItem;
  const now = deps.now();
  if (await search.visible(row.ticket)) {
    // Another machine may have found it out first: what counts is what is stored.
    await changeVectorState(deps.db, row, { ...row, state: "ready", changedAt: now });
    return (await vectorRow(deps.db, row))?.state === "ready"
      ? settled("ready", vectors)
      : { state: "writing", vectors, done: 0 };
  }
  if (now - row.changedAt <= REWRITE_AFTER_MS) return { state: "writing", vectors, done: vectors };
  return await startAgain(deps, row, row.fromItem);
}

async function startAgain({ db, now }: VectorsDeps, row: VectorRow, fromItem: number): Promise<VersionVectors> {
  await changeVectorState(db, row, { state: "writing", fromItem, next: fromItem, ticket: "", changedAt: now() });
  return { state: "writing", vectors: row.items - fromItem, done: 0 };
}

/** The index is asked over the network: what it does not answer may go through later. */
async function answering<T>(ask: () => Promise<T>): Promise<T> {
  try {
    return await ask();
  } catch (error) {
    if (error instanceof Unavailable) throw error;
    throw new Unavailable(`the vector index does not answer: ${String(error)}`);
  }
}
