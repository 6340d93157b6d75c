import { readdirSync, readFileSync, statSync } from "node:fs";
import { dirname, join, relative, resolve } from "node:path";
import { describe, expect, it } from "vitest";

/**
 * The allowed import edges between the top-level parts. Everything not listed is forbidden.
 * `batch-training` may take types, and only types, from `d1/schema.ts`.
 */
const ALLOWED_EDGES: Record<string, readonly string[]> = {
  workers: ["durable-objects", "d1", "models"],
  "durable-objects": ["models"],
  d1: ["models"],
  "batch-training": ["models"],
  models: [],
};

const root = resolve(import.meta.dirname, "../..");

function sourceFiles(folder: string): string[] {
  const absolute = join(root, folder);
  if (!statSync(absolute, { throwIfNoEntry: false })) return [];
  return readdirSync(absolute, { recursive: true, encoding: "utf8" })
    .filter((name) => name.endsWith(".ts") && !name.endsWith(".d.ts") && !name.includes("node_modules"))
    .map((name) => join(absolute, name));
}

interface ImportEdge {
  readonly file: string;
  readonly specifier: string;
  readonly typeOnly: boolean;
}

function importsOf(file: string): ImportEdge[] {
  const text = readFileSync(file, "utf8");
  const edges: ImportEdge[] = [];
  const pattern =
    /^\s*(?:import|export)\s+(type\s)?[^;"']*?from\s+["']([^"']+)["']|^\s*import\s+["']([^"']+)["']|import\(\s*["']([^"']+)["']\s*\)/gm;
  for (const match of text.matchAll(pattern)) {
    const specifier = match[2] ?? match[3] ?? match[4];
    if (specifier) edges.push({ file, specifier, typeOnly: match[1] !== undefined });
  }
  return edges;
}

/** `workers/fraud/route.ts` -> part `workers`, slice `fraud`; files directly in a part have no slice. */
function place(path: string): { part: string; slice: string | null } {
  const segments = relative(root, path).split("/");
  return { part: segments[0] ?? "", slice: segments.length > 2 ? (segments[1] ?? null) : null };
}

/** Folders of `workers/` that are shared by slices, or that compose them. */
const SHARED_WORKER_FOLDERS = new Set(["adapters", "jobs", "ort", "http"]);

const edges = Object.keys(ALLOWED_EDGES).flatMap((part) => sourceFiles(part).flatMap(importsOf));
const ownEdges = edges.filter((edge) => edge.specifier.startsWith("."));

describe("import direction", () => {
  it("only the listed edges between parts exist", () => {
    const wrong = ownEdges.filter((edge) => {
      const from = place(edge.file).part;
      const target = relative(root, resolve(dirname(edge.file), edge.specifier));
      const to = target.split("/")[0] ?? "";
      if (to === from || ALLOWED_EDGES[from]?.includes(to)) return false;
      return !(from === "batch-training" && target === "d1/schema.ts" && edge.typeOnly);
    });
    expect(wrong.map((edge) => `${relative(root, edge.file)} -> ${edge.specifier}`)).toEqual([]);
  });

  it("no slice of workers/ imports another slice", () => {
    const wrong = ownEdges.filter((edge) => {
      const from = place(edge.file);
      const to = place(resolve(dirname(edge.file), edge.specifier));
      if (from.part !== "workers" || to.part !== "workers" || from.slice === null || to.slice === null) return false;
      if (SHARED_WORKER_FOLDERS.has(from.slice) || SHARED_WORKER_FOLDERS.has(to.slice)) return false;
      return from.slice !== to.slice;
    });
    expect(wrong.map((edge) => `${relative(root, edge.file)} -> ${edge.specifier}`)).toEqual([]);
  });

  it("the kernel uses no clock, no randomness, no I/O and no runtime's modules", () => {
    const forbidden =
      /\b(Date\.now|Math\.random|fetch\(|process\.|setTimeout|setInterval|crypto\.|new Date\(\)|performance\.now)/;
    const offenders = sourceFiles("models").filter((file) => {
      const code = readFileSync(file, "utf8").replaceAll(/\/\*[\s\S]*?\*\/|\/\/[^\n]*/g, "");
      return (
        forbidden.test(code) ||
        importsOf(file).some((edge) => /^(node:|cloudflare:|hono|onnxruntime)/.test(edge.specifier))
      );
    });
    expect(offenders.map((file) => relative(root, file))).toEqual([]);
  });

  it("is checked over real files: the scan finds imports", () => {
    expect(edges.length).toBeGreaterThan(0);
  });
});
