import { type Result, type Router } from "hono/router";
import { TrieRouter } from "hono/router/trie-router";

/**
 * Routes without middleware: a path without parameters is found in one look, any other in a tree. Of several routes that fit, the
 * one without parameters answers.
 */
export class RouteTable<T> implements Router<T> {
  readonly name = "RouteTable";
  readonly #plain = new Map<string, Result<T>>();
  readonly #patterns = new TrieRouter<T>();

  add(method: string, path: string, handler: T): void {
    if (path.includes("*")) throw new Error(`${path}: middleware is not supported here; routes are mounted one by one`);
    if (path.includes(":")) this.#patterns.add(method, path, handler);
    else this.#plain.set(`${method} ${path}`, [[[handler, {}]]]);
  }

  match(method: string, path: string): Result<T> {
    return this.#plain.get(`${method} ${path}`) ?? this.#patterns.match(method, path);
  }
}
