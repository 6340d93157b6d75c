import type { StoredEvent } from "../contract/events.ts";

/** What the shop has said of one product since the training ended; null: nothing said about that. */
export interface LiveProduct {
  readonly id: string;
  /** Null until the product itself was announced: a price alone makes no product. */
  readonly active: boolean | null;
  readonly categories: readonly string[] | null;
  readonly brand: string | null;
  /** Minor units. */
  readonly price: number | null;
  /** Pieces over all places. */
  readonly stock: number | null;
  /** Seconds since 1970. */
  readonly publishedAt: number | null;
}

export type ProductChange =
  | {
      readonly kind: "product";
      readonly id: string;
      /** Epoch milliseconds of the fact: an older one never undoes a newer one. */
      readonly at: number;
      readonly active: boolean;
      readonly categories: readonly string[];
      readonly brand: string | null;
      readonly price: number | null;
      readonly publishedAt: number | null;
    }
  | { readonly kind: "price"; readonly id: string; readonly at: number; readonly price: number }
  | {
      readonly kind: "stock";
      readonly id: string;
      readonly at: number;
      /** Stock is kept by place and added up. */
      readonly location: string;
      readonly available: number;
    };

/** What an event says about a product; null for events that say nothing. */
export function productChangeOf(event: StoredEvent): ProductChange | null {
  const at = Date.parse(event.time);
  if (event.type === "catalog.product.updated.v1") {
    const { productId: id, status, categories, brand, price, publishedAt } = event.data;
    return {
      kind: "product",
      id,
      at,
      active: status === "active",
      categories,
      brand: brand ?? null,
      price: price?.amount ?? null,
      publishedAt: publishedAt === undefined ? null : Date.parse(publishedAt) / 1_000,
    };
  }
  if (event.type === "pricing.updated.v1") {
    const { productId: id, price } = event.data;
    return { kind: "price", id, at, price: price.amount };
  }
  if (event.type === "inventory.stock.changed.v1") {
    const { productId: id, locationId, available } = event.data;
    return { kind: "stock", id, at, location: locationId ?? "", available };
  }
  return null;
}
