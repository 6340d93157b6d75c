/** The service's disk stays bounded: outputs of earlier runs go, the longest unused first, and where there is still too little room no job is taken. */
import { mkdir, statfs } from "node:fs/promises";

export interface DiskRoomOptions {
  readonly folder: string;
  /** Outputs of earlier runs are kept up to this size. */
  readonly maxStoredBytes: number;
  /** A job is only taken where so much is free. */
  readonly minFreeBytes: number;
  /** Removes the longest unused outputs beyond a size. */
  readonly prune: (maxBytes: number) => Promise<unknown>;
  readonly onFree: (bytes: number) => void;
}

/** @returns why no job should be taken; null: there is room */
export async function makeRoom(options: DiskRoomOptions): Promise<string | null> {
  const { folder, maxStoredBytes, minFreeBytes, prune, onFree } = options;
  await mkdir(folder, { recursive: true });
  await prune(maxStoredBytes);
  let free = await freeBytes(folder);
  if (free < minFreeBytes) {
    await prune(0);
    free = await freeBytes(folder);
  }
  onFree(free);
  if (free >= minFreeBytes) return null;
  return `${folder} has ${gigabytes(free)} GB free and a job needs ${gigabytes(minFreeBytes)}; free some space or give --min-free-gb`;
}

async function freeBytes(folder: string): Promise<number> {
  const { bavail, bsize } = await statfs(folder);
  return bavail * bsize;
}

const gigabytes = (bytes: number): string => (bytes / 1e9).toFixed(1);
