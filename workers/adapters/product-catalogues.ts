import type { CountedFact, ProductChanges, ProductRankings } from "../../durable-objects/product-catalogue.core.ts";
import type { KeptValues, ProductValuesPage } from "../../durable-objects/product-values.core.ts";
import type { ProductCatalogue, WantedValues } from "../../durable-objects/product-catalogue.ts";
import type { ProductChange } from "../../models/recommend/live-product.ts";

/** Live products over one object per tenant. A stub belongs to the request that made it: every call gets its own. */
export class ProductCatalogues {
  readonly #namespace: DurableObjectNamespace<ProductCatalogue>;

  constructor(namespace: DurableObjectNamespace<ProductCatalogue>) {
    this.#namespace = namespace;
  }

  /** Returns products whose values are due to be read. */
  async apply(
    tenant: string,
    changes: readonly ProductChange[],
    counted: readonly CountedFact[],
    wanted: WantedValues,
  ): Promise<string[]> {
    return await this.#namespace.getByName(tenant).apply(changes, counted, wanted);
  }

  async keepValues(tenant: string, values: KeptValues): Promise<void> {
    await this.#namespace.getByName(tenant).keepValues(values);
  }

  async values(
    tenant: string,
    after: number,
    of: { readonly service: string; readonly width: number },
  ): Promise<ProductValuesPage> {
    return await this.#namespace.getByName(tenant).values(after, of);
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
