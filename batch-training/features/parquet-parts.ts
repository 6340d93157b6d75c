import { renameSync, rmSync } from "node:fs";
import { ByteWriter, fileWriter, ParquetWriter } from "hyparquet-writer";
import type { CompiledService } from "../../models/features/compile-service.ts";
import type { RowRange } from "./assemble-range.ts";

type RowGroup = ParquetWriter["row_groups"][number];
type Offset = bigint | undefined;

/** An encoded row group: its bytes, and its metadata with offsets as if it were the first of its file. */
export interface EncodedRows {
  readonly rows: number;
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly groups: RowGroup[];
}

/** A Parquet file starts with its four-byte mark. */
const MARK_BYTES = 4;

function schemaOf(service: CompiledService) {
  const text = (name: string) =>
    ({ name, type: "BYTE_ARRAY", converted_type: "UTF8", repetition_type: "REQUIRED" }) as const;
  const number = (name: string, type: "DOUBLE" | "FLOAT") => ({ name, type, repetition_type: "REQUIRED" }) as const;
  const columns = [
    text("order_id"),
    text("subject"),
    number("as_of", "DOUBLE"),
    number("label", "FLOAT"),
    number("labelled_at", "DOUBLE"),
    ...service.names.map((name) => number(name, "FLOAT")),
  ];
  return [{ name: "root", num_children: columns.length }, ...columns];
}

/** Encodes rows as one row group; done where the rows are assembled, so that threads share the work. */
export function encodeRows(service: CompiledService, range: RowRange): EncodedRows {
  const out = new ByteWriter(range.rows * 64 + 4_096);
  const writer = new ParquetWriter({ writer: out, schema: schemaOf(service) });
  const columns = [
    { name: "order_id", data: [...range.ids] },
    { name: "subject", data: [...range.subjects] },
    { name: "as_of", data: range.asOf },
    { name: "label", data: range.labels },
    { name: "labelled_at", data: range.labelledAt },
    // Minima and maxima help to skip row groups by id or time, not by a feature.
    ...service.names.map((name, at) => ({ name, data: range.features[at] ?? [], statistics: false })),
  ];
  // Indexes lie behind all row groups; without them a row group stands alone.
  const columnData = columns.map((column) => ({ ...column, offsetIndex: false }));
  void writer.write({ columnData, rowGroupSize: Math.max(1, range.rows) });
  return { rows: range.rows, bytes: out.getBytes().slice(MARK_BYTES), groups: writer.row_groups };
}

/** Writes encoded row groups one after the other into a file that appears when it is complete. */
export class ParquetParts {
  readonly #path: string;
  readonly #writer: ParquetWriter;

  constructor(path: string, service: CompiledService) {
    this.#path = path;
    this.#writer = new ParquetWriter({
      writer: fileWriter(this.#unfinished),
      schema: schemaOf(service),
      kvMetadata: [
        { key: "feature_service", value: service.name },
        { key: "feature_service_hash", value: service.hash },
      ],
    });
  }

  get #unfinished(): string {
    return `${this.#path}.unfinished`;
  }

  add({ rows, bytes, groups }: EncodedRows): void {
    const by = BigInt(this.#writer.writer.offset - MARK_BYTES);
    this.#writer.writer.appendBytes(bytes);
    this.#writer.row_groups.push(...groups.map((group) => shifted(group, by)));
    this.#writer.num_rows += BigInt(rows);
  }

  async finish(): Promise<void> {
    await this.#writer.finish();
    renameSync(this.#unfinished, this.#path);
  }

  /** Leaves nothing behind. */
  discard(): void {
    rmSync(this.#unfinished, { force: true });
  }
}

function shifted(group: RowGroup, by: bigint): RowGroup {
  const move = (offset: Offset): { value: bigint } | null => (offset === undefined ? null : { value: offset + by });
  const columns = group.columns.map((column) => {
    const { meta_data: data } = column;
    if (!data) return { ...column, file_offset: column.file_offset + by };
    const dictionary = move(data.dictionary_page_offset);
    const moved = {
      ...data,
      data_page_offset: data.data_page_offset + by,
      ...(dictionary && { dictionary_page_offset: dictionary.value }),
    };
    return { ...column, file_offset: column.file_offset + by, meta_data: moved };
  });
  return { ...group, columns };
}
