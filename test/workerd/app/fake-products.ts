import type { ProductValuesPage } from "../../../durable-objects/product-values.core.ts";
import type { ProductChanges } from "../../../durable-objects/product-catalogue.core.ts";
import type { LiveProduct } from "../../../models/recommend/live-product.ts";
import type { ProductSource } from "../../../workers/recommendations/shops.ts";

/** The products' object of one tenant as an array in the order of its changes. */
export class FakeProducts implements ProductSource {
  readonly said: LiveProduct[] = [];
  popular: string[] = [];
  hangs = false;

  changes(_tenant: string, after: { readonly cursor: number } | { readonly since: number }): Promise<ProductChanges> {
    if (this.hangs) return new Promise(() => {});
    const from = "cursor" in after ? after.cursor : 0;
    const products = this.said.slice(from, from + 5_000);
    const cursor = from + products.length;
    return Promise.resolve({ products, cursor, more: cursor < this.said.length });
  }

  async rankings(): Promise<{ popular: string[]; trending: string[] }> {
    return { popular: this.popular, trending: this.popular.toReversed() };
  }

  /** Values in the order in which they were kept, all of one width. */
  readonly kept: { product: string; at: number; numbers: readonly number[] }[] = [];
  valuesHang = false;

  values(_tenant: string, after: number): Promise<ProductValuesPage> {
    if (this.valuesHang) return new Promise(() => {});
    const page = this.kept.slice(after);
    return Promise.resolve({
      products: page.map((one) => one.product),
      at: Float64Array.from(page, ({ at }) => at),
      numbers: Float32Array.from(page.flatMap(({ numbers }) => numbers)),
      cursor: this.kept.length,
      more: false,
    });
  }
}
