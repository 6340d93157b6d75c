/** The shop's products as of a moment, from what it said about them; the same rules as the live catalogue follows. */
import type { LiveProduct, ProductChange } from "../../../models/recommend/live-product.ts";

interface Known {
  product: Extract<ProductChange, { kind: "product" }> | null;
  price: { at: number; price: number } | null;
  readonly stock: Map<string, { at: number; available: number }>;
}

/** Takes changes in the order of their time and tells what is known of a product by then. */
export class ProductBook {
  readonly #products = new Map<string, Known>();

  take(change: ProductChange): void {
    const known = this.#products.get(change.id) ?? { product: null, price: null, stock: new Map() };
    this.#products.set(change.id, known);
    if (change.kind === "product") known.product = change;
    else if (change.kind === "price") known.price = { at: change.at, price: change.price };
    else known.stock.set(change.location, { at: change.at, available: change.available });
  }

  ids(): Iterable<string> {
    return this.#products.keys();
  }

  /** Null for a product that nothing was said of. */
  product(id: string): LiveProduct | null {
    const known = this.#products.get(id);
    if (known === undefined) return null;
    const { product, price, stock } = known;
    const newer = price !== null && (product === null || product.price === null || price.at >= product.at);
    const pieces = [...stock.values()].reduce((sum, { available }) => sum + available, 0);
    return {
      id,
      active: product?.active ?? null,
      categories: product?.categories ?? null,
      brand: product?.brand ?? null,
      price: newer ? price.price : (product?.price ?? null),
      stock: stock.size === 0 ? null : pieces,
      publishedAt: product?.publishedAt ?? null,
    };
  }
}

/** The book with everything that was said before `until`, epoch milliseconds. */
export function bookBefore(changes: readonly ProductChange[], until: number): ProductBook {
  const book = new ProductBook();
  for (const change of changes) if (change.at < until) book.take(change);
  return book;
}
