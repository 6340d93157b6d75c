import type { EventData } from "../../models/contract/events.ts";
import { ADJECTIVES, BRANDS, CATEGORIES, type CategoryRow, COLOURS } from "./catalogue-table.ts";
import type { SeededRandom } from "./seeded-random.ts";
import { DAY_MS, isoTime, money, type World } from "./world.ts";

export interface Product {
  readonly id: string;
  readonly category: CategoryRow;
  readonly categoryIndex: number;
  readonly brand: (typeof BRANDS)[number];
  readonly title: string;
  readonly colour: string;
  readonly publishedAt: number;
  /** 0 to 1: what owners think of it. */
  readonly quality: number;
  /** Relative demand; moves as fashions come and go. */
  popularity: number;
  /** Articles that people look at next. */
  readonly companions: Product[];
  readonly regularPrice: number;
  price: number;
  stock: number;
  active: boolean;
  /** Day on which a running promotion ends. */
  promotionUntil: number;
  soldToday: number;
}

export interface Liking {
  /** Where between cheap (0) and expensive (2) the buyer looks. */
  readonly tier: number;
  /** How strongly price decides. */
  readonly priceSensitivity: number;
  /** Brands that the buyer comes back to. */
  readonly brands: ReadonlySet<string>;
}

const WAREHOUSE = "warehouse-1";

/** The catalogue changes in the first 40 seconds of a day. */
const NIGHT_RUN_MS = 40_000;

/** Products with categories, brands, prices and stock, and how they change from day to day. */
export class Catalogue {
  readonly products: Product[] = [];
  readonly #byCategory: Product[][] = CATEGORIES.map(() => []);
  /** New articles that are not sold yet. */
  readonly #announced: Product[] = [];
  readonly #world: World;
  readonly #random: SeededRandom;

  constructor(world: World) {
    this.#world = world;
    this.#random = world.random("catalogue");
    const perCategory = Math.min(60, Math.max(4, Math.round(8.5 * world.options.scale ** 0.35)));
    for (const [index] of CATEGORIES.entries())
      for (let count = 0; count < perCategory; count++)
        this.#create(index, world.start - Math.floor(this.#random.exponential(200) * DAY_MS));
    for (const product of this.products) {
      product.active = true;
      this.#publish(product, world.start + this.#random.below(NIGHT_RUN_MS / 2));
      this.#reportStock(product, world.start + NIGHT_RUN_MS / 2 + this.#random.below(NIGHT_RUN_MS / 2));
    }
  }

  /**
   * What happens to the range on one day: promotions, changed prices, deliveries, new and withdrawn articles. All of it in the first
   * minute of the day, when nobody is in the shop; a new article is sold from the next day.
   */
  live(day: number): void {
    if (day === 0) return;
    const random = this.#random;
    const midnight = this.#world.day(day);
    for (const product of this.#announced.splice(0)) product.active = true;
    for (const product of this.products) {
      if (!product.active) continue;
      const at = midnight + random.below(NIGHT_RUN_MS);
      product.popularity *= Math.exp(random.normal(0, 0.035));
      if (product.promotionUntil === day) this.#setPrice(product, product.regularPrice, at);
      else if (product.promotionUntil < day && random.chance(0.006)) {
        product.promotionUntil = day + 4 + random.below(9);
        this.#setPrice(product, product.regularPrice * random.between(0.68, 0.9), at);
      } else if (random.chance(0.0025)) this.#setPrice(product, product.price * random.between(0.94, 1.08), at);
      this.#restock(product, at);
    }
    for (let count = random.poisson(0.9); count > 0; count--) {
      const product = this.#create(random.below(CATEGORIES.length), midnight);
      product.popularity *= 1.6;
      this.#announced.push(product);
      this.#publish(product, midnight + random.below(NIGHT_RUN_MS / 2));
      this.#reportStock(product, midnight + NIGHT_RUN_MS / 2 + random.below(NIGHT_RUN_MS / 2));
    }
    if (random.chance(0.4)) this.#withdraw(random.pick(this.products), midnight + random.below(NIGHT_RUN_MS));
  }

  /** An article of a category that suits, or undefined when nothing of it can be bought. */
  choose(random: SeededRandom, categoryIndex: number, liking: Liking): Product | undefined {
    const range = (this.#byCategory[categoryIndex] ?? []).filter((product) => product.active && product.stock > 0);
    if (range.length === 0) return undefined;
    return range[random.weighted(range.map((product) => appeal(product, liking)))];
  }

  /** The article that is looked at after `product`: a companion, the same category, or what goes with it. */
  next(random: SeededRandom, product: Product, liking: Liking): Product | undefined {
    const draw = random.next();
    const companions = product.companions.filter((companion) => companion.active && companion.stock > 0);
    if (draw < 0.38 && companions.length > 0) return random.pick(companions);
    const { with: accessories } = product.category;
    if (draw < 0.6 && accessories.length > 0)
      return this.choose(random, categoryIndexOf(random.pick(accessories)), liking);
    return this.choose(random, product.categoryIndex, liking);
  }

  /** Something to buy with `product`, if its category has such things. */
  accessory(random: SeededRandom, product: Product, liking: Liking): Product | undefined {
    const { with: accessories } = product.category;
    return accessories.length === 0
      ? undefined
      : this.choose(random, categoryIndexOf(random.pick(accessories)), liking);
  }

  sell(product: Product, quantity: number): void {
    product.stock = Math.max(0, product.stock - quantity);
    product.soldToday += quantity;
  }

  #create(categoryIndex: number, publishedAt: number): Product {
    const random = this.#random;
    const category = CATEGORIES[categoryIndex];
    if (category === undefined) throw new RangeError(`no category ${categoryIndex}`);
    const brand = random.pick(BRANDS.filter((candidate) => candidate.departments.includes(category.department)));
    const tierFactor = [0.62, 1, 1.55][brand.tier] ?? 1;
    const cents = random.logNormal(category.price * tierFactor, category.spread * 0.6);
    const regularPrice = roundPrice(cents);
    const colour = random.pick(COLOURS);
    const product: Product = {
      id: this.#world.id("prd"),
      category,
      categoryIndex,
      brand,
      title: `${brand.name} ${random.pick(ADJECTIVES)} ${category.noun}, ${colour}`,
      colour,
      publishedAt,
      quality: Math.min(1, Math.max(0.05, random.normal(0.62 + 0.09 * brand.tier, 0.16))),
      popularity: random.logNormal(1, 0.9),
      companions: [],
      regularPrice,
      price: regularPrice,
      stock: 60 + random.below(Math.ceil(200 * this.#world.options.scale) + 100),
      active: false,
      promotionUntil: -1,
      soldToday: 0,
    };
    const siblings = this.#byCategory[categoryIndex] ?? [];
    const related = category.with.flatMap((name) => this.#byCategory[categoryIndexOf(name)] ?? []);
    for (const pool of [siblings, related])
      if (pool.length > 0) {
        const companion = random.pick(pool);
        if (companion !== product && !product.companions.includes(companion)) product.companions.push(companion);
        if (companion.companions.length < 3) companion.companions.push(product);
      }
    siblings.push(product);
    this.products.push(product);
    return product;
  }

  #publish(product: Product, at: number, status: "active" | "withdrawn" = "active"): void {
    const { category } = product;
    const data: EventData<"catalog.product.updated.v1"> = {
      productId: product.id,
      title: product.title,
      description: `A ${category.noun} by ${product.brand.name}, in ${product.colour}.`,
      brand: product.brand.name,
      categories: [category.department, category.category],
      price: money(product.price),
      status,
      attributes: { colour: product.colour, tier: product.brand.tier },
      publishedAt: isoTime(product.publishedAt),
    };
    this.#world.emit("catalogue", "catalog.product.updated.v1", at, data);
  }

  #setPrice(product: Product, cents: number, at: number): void {
    const previous = product.price;
    product.price = cents === product.regularPrice ? cents : roundPrice(cents);
    if (product.price === previous) return;
    this.#world.emit("catalogue", "pricing.updated.v1", at, {
      productId: product.id,
      price: money(product.price),
      previousPrice: money(previous),
      validFrom: isoTime(at),
    });
  }

  #restock(product: Product, at: number): void {
    const sold = product.soldToday;
    product.soldToday = 0;
    if (product.stock < 15 && this.#random.chance(0.35)) product.stock += 40 + this.#random.below(80) + 10 * sold;
    else if (sold === 0 || (product.stock > 0 && !this.#random.chance(0.15))) return;
    this.#reportStock(product, at);
  }

  #reportStock(product: Product, at: number): void {
    this.#world.emit("warehouse", "inventory.stock.changed.v1", at, {
      productId: product.id,
      locationId: WAREHOUSE,
      available: product.stock,
    });
  }

  #withdraw(product: Product, at: number): void {
    if (!product.active || product.category.again > 0) return;
    product.active = false;
    this.#publish(product, at, "withdrawn");
  }
}

/** How much a buyer is drawn to a product, against others of its category. */
export function appeal(product: Product, liking: Liking): number {
  const tierMiss = product.brand.tier - liking.tier;
  const bargain = product.regularPrice / product.price - 1;
  const dear = Math.log(product.price / product.category.price);
  const taste = -0.55 * tierMiss * tierMiss + liking.priceSensitivity * (1.5 * bargain - 0.5 * dear);
  const loyal = liking.brands.has(product.brand.name) ? 1.3 : 0;
  return product.popularity * Math.exp(taste + loyal + product.quality);
}

const INDEX_OF_CATEGORY = new Map(CATEGORIES.map((row, index) => [row.category, index]));

export function categoryIndexOf(category: string): number {
  const index = INDEX_OF_CATEGORY.get(category);
  if (index === undefined) throw new RangeError(`no category "${category}"`);
  return index;
}

/** Prices end in 90 or 99 cents, as people expect. */
function roundPrice(cents: number): number {
  const euros = Math.max(1, Math.round(cents / 100));
  return euros * 100 - (euros < 20 ? 10 : 1);
}
