/** Small texts that an object keeps by name, such as where a reshard is. */
export function readNote(sql: SqlStorage, name: string): string | null {
  return sql.exec<{ value: string }>("SELECT value FROM notes WHERE name = ?", name).toArray()[0]?.value ?? null;
}

export function writeNote(sql: SqlStorage, name: string, value: string): void {
  sql.exec(
    "INSERT INTO notes (name, value) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value",
    name,
    value,
  );
}
