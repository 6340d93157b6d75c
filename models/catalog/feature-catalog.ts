import { compileCatalog } from "../features/catalog.ts";
import { compileService, type CompiledService } from "../features/compile-service.ts";
import { customerProducts } from "./customer-product/features.ts";
import { customerProfiles } from "./customer-profile/features.ts";
import { fraudOrders } from "./fraud-orders/features.ts";
import { productRanking } from "./product-recommendations/features.ts";

/** Every feature service of the product. A model pinned to another hash is refused. */
export const FEATURE_CATALOG = compileCatalog([fraudOrders, customerProfiles, customerProducts, productRanking]);

/** The service of the fraud model for orders. */
export const FRAUD_FEATURES: CompiledService = compileService(fraudOrders, FEATURE_CATALOG);

/** The shared part of the recommender's second stage. */
export const PRODUCT_RANKING: CompiledService = compileService(productRanking, FEATURE_CATALOG);

/** Every service, compiled. */
export const FEATURE_SERVICES: readonly CompiledService[] = [
  FRAUD_FEATURES,
  compileService(customerProfiles, FEATURE_CATALOG),
  compileService(customerProducts, FEATURE_CATALOG),
  PRODUCT_RANKING,
];

const services = new Map(FEATURE_SERVICES.map((service) => [service.name, service]));

export function featureService(name: string): CompiledService | undefined {
  return services.get(name);
}
