import type { RecommendRequest } from "./recommend-request.ts";
import { PLACES, RankedEntity } from "./ranking-service.ts";
import type { VisitorFact } from "./visitor-history.ts";

/** What the shared features see of a visitor: the visitor's own state, and that of each product met. */
interface KnownVisitor {
  readonly visitor: RankedEntity;
  /** Customers only: there are no features of a session and a product. */
  readonly products: ReadonlyMap<string, RankedEntity>;
}

/**
 * Makes the states of the shared features from histories. A history is the same object as long as it is in memory, and so are the states that were made
 * from it.
 */
export class VisitorFeatures {
  readonly #maxEvents: number;
  readonly #known = new WeakMap<readonly VisitorFact[], KnownVisitor>();

  /** @param maxEvents facts of a visitor that are used at most, the newest */
  constructor(maxEvents: number) {
    this.#maxEvents = maxEvents;
  }

  /** Writes the visitor's features into a vector of the service that begins at 0, and returns what is known of the products met. */
  write({ visitor, now }: Pick<RecommendRequest, "visitor" | "now">, vector: Float32Array): KnownVisitor["products"] {
    if (visitor === null || visitor.facts.length === 0) return NO_PRODUCTS;
    const known = this.#known.get(visitor.facts) ?? this.#read(visitor);
    known.visitor.write(now, vector, PLACES.visitor.start);
    return known.products;
  }

  #read(visitor: NonNullable<RecommendRequest["visitor"]>): KnownVisitor {
    const known = { visitor: new RankedEntity("visitor"), products: new Map<string, RankedEntity>() };
    for (const { productId, action, at } of visitor.facts.slice(-this.#maxEvents)) {
      if (action === "dismiss") continue;
      known.visitor.add(action, at);
      if (visitor.kind !== "customer") continue;
      let pair = known.products.get(productId);
      if (!pair) known.products.set(productId, (pair = new RankedEntity("pair")));
      pair.add(action, at);
    }
    this.#known.set(visitor.facts, known);
    return known;
  }
}

const NO_PRODUCTS: KnownVisitor["products"] = new Map();
