/**
 * Schema changes of a Durable Object's SQLite storage: an append-only list, each applied once and in order. A list that
 * does not begin with what was applied before is a programming error and throws, so that a deployed step is never edited.
 */
export interface ObjectMigration {
  readonly id: string;
  readonly sql: string;
}

/** Applies what is missing. Call inside the constructor, before any other statement. */
export function applyMigrations(storage: DurableObjectStorage, migrations: readonly ObjectMigration[]): void {
  storage.transactionSync(() => {
    storage.sql.exec("CREATE TABLE IF NOT EXISTS applied_migrations (position INTEGER PRIMARY KEY, id TEXT NOT NULL)");
    const applied = storage.sql
      .exec<{ id: string }>("SELECT id FROM applied_migrations ORDER BY position")
      .toArray()
      .map((row) => row.id);
    for (const [position, id] of applied.entries()) {
      if (migrations[position]?.id !== id) {
        throw new Error(
          `migration ${position} was applied as "${id}" and is now "${migrations[position]?.id ?? "missing"}"`,
        );
      }
    }
    for (const [position, migration] of migrations.entries()) {
      if (position < applied.length) continue;
      storage.sql.exec(migration.sql);
      storage.sql.exec("INSERT INTO applied_migrations (position, id) VALUES (?, ?)", position, migration.id);
    }
  });
}
