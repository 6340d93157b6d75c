import { execFile } from "node:child_process";
import { mkdir, readdir, rm } from "node:fs/promises";
import { basename, join, resolve } from "node:path";
import { promisify } from "node:util";

export const PROJECT_ROOT = resolve(import.meta.dirname, "../..");

export interface BuiltWorker {
  readonly config: string;
  /** Folder with the bundle, exactly what a deployment would upload. */
  readonly folder: string;
  readonly modules: readonly { readonly type: "ESModule" | "CompiledWasm"; readonly path: string }[];
}

/** Both Workers, by their configuration files. The first one answers HTTP. */
const CONFIGS = ["wrangler.toml", "workers/ort/wrangler.toml"] as const;

/** A build takes two seconds; one that takes this long hangs. */
const BUILD_TIMEOUT_MS = 120_000;

/** Bundles both Workers as a deployment would, without deploying. */
export async function buildWorkers(outputFolder: string): Promise<BuiltWorker[]> {
  return await Promise.all(CONFIGS.map((config, index) => buildWorker({ config }, join(outputFolder, String(index)))));
}

/** Bundles one Worker into a folder, which is emptied. `entry`: another main module under the same configuration. */
export async function buildWorker(
  { config, entry }: { readonly config: string; readonly entry?: string },
  folder: string,
): Promise<BuiltWorker> {
  await rm(folder, { recursive: true, force: true });
  await mkdir(folder, { recursive: true });
  const wrangler = join(PROJECT_ROOT, "node_modules/wrangler/bin/wrangler.js");
  const args = [
    wrangler,
    "deploy",
    ...(entry === undefined ? [] : [join(PROJECT_ROOT, entry)]),
    "--dry-run",
    "--minify",
    "--outdir",
    folder,
    "--config",
    join(PROJECT_ROOT, config),
  ];
  try {
    await promisify(execFile)(process.execPath, args, {
      cwd: PROJECT_ROOT,
      timeout: BUILD_TIMEOUT_MS,
      env: { ...process.env, WRANGLER_SEND_METRICS: "false", CI: "true" },
    });
  } catch (error) {
    const output =
      error instanceof Error && "stdout" in error
        ? `${String(error.stdout)}\n${"stderr" in error ? String(error.stderr) : ""}`
        : "";
    throw new Error(
      `Building ${config} failed. Run "npx wrangler deploy --dry-run -c ${config}" to see why.\n${output.trim()}`,
      { cause: error },
    );
  }
  // The bundle is named after its entry; the main module comes first.
  const main = `${basename(entry ?? "index.ts", ".ts")}.js`;
  const modules: BuiltWorker["modules"][number][] = [{ type: "ESModule", path: main }];
  for (const name of (await readdir(folder)).toSorted()) {
    if (name.endsWith(".wasm")) modules.push({ type: "CompiledWasm", path: name });
    else if (name.endsWith(".js") && name !== main) modules.push({ type: "ESModule", path: name });
  }
  return { config, folder, modules };
}
