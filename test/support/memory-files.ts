import type { FileSystem } from "../../batch-training/pipeline/file-system.ts";

/** The machine lost power: nothing of this process happens any more. */
export class PowerLoss extends Error {
  override readonly name = "PowerLoss";
}

/**
 * A disk in memory that can lose power before any operation, or fill up. A file whose creation was interrupted is there, cut short, under
 * the name it was created with; reads after a power loss see what the disk has.
 */
export class MemoryFiles implements FileSystem {
  readonly content = new Map<string, Uint8Array>();
  /** Operations that change the disk, so far. */
  changes = 0;
  /** Power goes when so many changes were made; the next one is made by half. */
  powerAfter = Number.POSITIVE_INFINITY;
  /** Bytes that fit. */
  capacity = Number.POSITIVE_INFINITY;
  #clock = 0;
  readonly #used = new Map<string, number>();

  async read(path: string): Promise<Uint8Array | null> {
    this.#live();
    return this.content.get(path)?.slice() ?? null;
  }

  async create(path: string, parts: readonly Uint8Array[]): Promise<void> {
    const bytes = Buffer.concat(parts);
    if (!this.#change()) {
      this.content.set(path, bytes.subarray(0, Math.floor(bytes.length / 2)));
      throw new PowerLoss("while a file was written");
    }
    if (this.#bytes() + bytes.length > this.capacity) {
      this.content.set(path, bytes.subarray(0, Math.floor(bytes.length / 2)));
      throw Object.assign(new Error("ENOSPC: no space left on device, write"), { code: "ENOSPC" });
    }
    this.content.set(path, bytes);
    this.#used.set(path, ++this.#clock);
  }

  async rename(from: string, to: string): Promise<void> {
    if (!this.#change()) throw new PowerLoss("before a file got its name");
    const bytes = this.content.get(from);
    if (!bytes) throw Object.assign(new Error(`ENOENT: ${from}`), { code: "ENOENT" });
    this.content.delete(from);
    this.content.set(to, bytes);
    this.#used.set(to, ++this.#clock);
  }

  async remove(path: string): Promise<void> {
    if (!this.#change()) throw new PowerLoss("before a file was removed");
    this.content.delete(path);
  }

  async list(folder: string) {
    this.#live();
    return [...this.content].flatMap(([path, bytes]) =>
      path.startsWith(`${folder}/`)
        ? [{ name: path.slice(folder.length + 1), bytes: bytes.length, usedAt: this.#used.get(path) ?? 0 }]
        : [],
    );
  }

  async touch(path: string): Promise<void> {
    this.#live();
    this.#used.set(path, ++this.#clock);
  }

  /** Power is back; the disk is what it was. */
  restart(): void {
    this.changes = 0;
    this.powerAfter = Number.POSITIVE_INFINITY;
  }

  #live(): void {
    if (this.changes > this.powerAfter) throw new PowerLoss("already");
  }

  #change(): boolean {
    this.#live();
    this.changes++;
    return this.changes <= this.powerAfter;
  }

  #bytes(): number {
    return [...this.content.values()].reduce((sum, bytes) => sum + bytes.length, 0);
  }
}
