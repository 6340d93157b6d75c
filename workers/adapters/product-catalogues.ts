import type { CountedFact, ProductChanges, ProductRankings } from "../../durable-objects/product-catalogue.core.ts";
import type { ProductCatalogue } from "../../durable-objects/product-catalogue.ts";
import type { ProductChange } from "../../models/recommend/live-product.ts";

/** Live products over one object per tenant. A stub belongs to the request that made it: every call gets its own. */
export class ProductCatalogues {
  readonly #namespace: DurableObjectNamespace<ProductCatalogue>;

  constructor(namespace: DurableObjectNamespace<ProductCatalogue>) {
    this.#namespace = namespace;
  }

  async apply(tenant: string, changes: readonly ProductChange[], counted: readonly CountedFact[]): Promise<void> {
    await this.#namespace.getByName(tenant).apply(changes, counted);
  }

  async changes(
    tenant: string,
    after: { readonly cursor: number } | { readonly since: number },
  ): Promise<ProductChanges> {
    return await this.#namespace.getByName(tenant).changes(after);
  }

  async rankings(tenant: string): Promise<ProductRankings> {
    return await this.#namespace.getByName(tenant).rankings();
  }
}
