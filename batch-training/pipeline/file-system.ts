/** What the pipeline needs of a disk, small enough that a test can be one that fails, fills up or loses power. */
import { randomBytes } from "node:crypto";
import { mkdir, open, readdir, readFile, rename, rm, stat, utimes } from "node:fs/promises";
import { dirname, join } from "node:path";
import { PipelineError } from "./pipeline-error.ts";

export interface FileSystem {
  /** null where there is no such file. */
  read(path: string): Promise<Uint8Array | null>;
  /** Creates the file and its folders and has the content on the disk (fsync) before it resolves. */
  create(path: string, parts: readonly Uint8Array[]): Promise<void>;
  /** Atomic; the new name is on the disk before it resolves. */
  rename(from: string, to: string): Promise<void>;
  /** No error where it does not exist. */
  remove(path: string): Promise<void>;
  /** Files of a folder; none where it does not exist. */
  list(folder: string): Promise<readonly StoredFile[]>;
  /** Marks a file as used now. */
  touch(path: string): Promise<void>;
}

export interface StoredFile {
  readonly name: string;
  readonly bytes: number;
  /** Epoch milliseconds of the last use. */
  readonly usedAt: number;
}

/** A file is there whole, under its name, or not at all, whenever the process or the machine dies. */
export async function writeWhole(files: FileSystem, path: string, parts: readonly Uint8Array[]): Promise<void> {
  // A name of its own: two processes may write the same file, with the same content, at once.
  const temporary = `${path}.${randomBytes(6).toString("hex")}${TEMPORARY}`;
  try {
    await files.create(temporary, parts);
    await files.rename(temporary, path);
  } catch (error) {
    await files.remove(temporary).catch(() => {});
    throw explained(error, path, parts);
  }
}

/** How the names of unfinished files end; a killed process leaves them behind. */
export const TEMPORARY = ".tmp";

function explained(error: unknown, path: string, parts: readonly Uint8Array[]): unknown {
  const code = error instanceof Error && "code" in error ? error.code : null;
  if (code !== "ENOSPC" && code !== "EDQUOT") return error;
  const megabytes = parts.reduce((sum, part) => sum + part.byteLength, 0) / 1e6;
  const what = `the disk is full: ${megabytes.toFixed(1)} MB could not be written to ${path}`;
  return new PipelineError("disk_full", `${what}; free some space and go on with --resume`);
}

export const nodeFiles: FileSystem = {
  read: async (path) => {
    try {
      return await readFile(path);
    } catch (error) {
      if (isMissing(error)) return null;
      throw error;
    }
  },
  create: async (path, parts) => {
    await mkdir(dirname(path), { recursive: true });
    const file = await open(path, "wx", 0o600);
    try {
      for (const part of parts) if (part.byteLength > 0) await file.writeFile(part);
      await file.sync();
    } finally {
      await file.close();
    }
  },
  rename: async (from, to) => {
    await rename(from, to);
    const folder = await open(dirname(to), "r");
    try {
      await folder.sync();
    } finally {
      await folder.close();
    }
  },
  remove: (path) => rm(path, { force: true }),
  list: async (folder) => {
    const names = await readdir(folder).catch((error: unknown) => {
      if (isMissing(error)) return [];
      throw error;
    });
    const found = await Promise.all(
      names.map(async (name) => {
        // Another process may have removed it meanwhile.
        const entry = await stat(join(folder, name)).catch(() => null);
        return entry?.isFile() ? [{ name, bytes: entry.size, usedAt: entry.mtimeMs }] : [];
      }),
    );
    return found.flat();
  },
  touch: async (path) => {
    const now = new Date();
    await utimes(path, now, now).catch(() => {});
  },
};

function isMissing(error: unknown): boolean {
  return error instanceof Error && "code" in error && (error.code === "ENOENT" || error.code === "ENOTDIR");
}
