import { BRANDS, CATEGORIES, PERSONAS } from "./catalogue-table.ts";
import type { Liking, Product } from "./catalogue.ts";
import type { SeededRandom } from "./seeded-random.ts";
import { DAY_MS, type World } from "./world.ts";

export interface Card {
  readonly id: string;
  readonly country: string;
}

export interface Place {
  readonly addressId: string;
  readonly country: string;
  readonly postalCode: string;
}

export interface Household {
  readonly home: Place;
  ipAddress: string;
  readonly members: Customer[];
  /** A tablet or computer that everyone uses. */
  readonly sharedDevice: string | undefined;
}

/** A thing that is bought again and again. */
export interface Habit {
  readonly product: Product;
  readonly periodDays: number;
  nextAt: number;
}

export interface Customer {
  readonly id: string;
  readonly registeredAt: number;
  readonly household: Household;
  readonly liking: Liking;
  /** Weight of each category; drifts slowly. */
  readonly tastes: number[];
  /** Web and app sessions per day. */
  readonly sessionsPerDay: number;
  readonly storeVisitsPerDay: number;
  /** Chance that a session ends in an order. */
  readonly buys: number;
  /** Weights of the 24 hours. */
  readonly hours: readonly number[];
  readonly prefersApp: boolean;
  readonly devices: string[];
  readonly cards: Card[];
  readonly terminals: readonly string[];
  readonly paysBy: readonly number[];
  readonly habits: Habit[];
  /** Disputes orders that arrived. */
  readonly disputes: boolean;
  /** Chance that an order is reviewed. */
  readonly writes: number;
  /** Until when the customer is abroad, and the address they then surf from. */
  abroadUntil: number;
  abroadIp: string;
  orders: number;
  spent: number;
  segment: string;
}

const COUNTRIES: readonly (readonly [country: string, share: number])[] = [
  ["DE", 70],
  ["AT", 9],
  ["NL", 8],
  ["FR", 7],
  ["BE", 4],
  ["IT", 2],
];
export const FAR_COUNTRIES = ["BR", "ID", "NG", "RU", "TR", "UA", "US", "VN", "PL", "RO"] as const;

/** Weights of the hours 0 to 23, UTC, for kinds of days: evenings, lunch breaks, nights, the whole day. */
const HOUR_PROFILES: readonly (readonly number[])[] = [
  [2, 1, 0.4, 0.2, 0.2, 0.5, 1.5, 2, 2, 2, 2.5, 3, 3, 2.5, 2.5, 3, 4, 6, 9, 11, 11, 9, 6, 4],
  [0.7, 0.3, 0.2, 0.1, 0.2, 0.8, 2.5, 4, 4, 4, 5, 9, 9, 5, 4, 4, 4, 4, 4, 4, 4, 3, 2, 1.2],
  [7, 6, 4, 2.5, 1.2, 0.8, 0.8, 1, 1.2, 1.5, 2, 2.5, 2.5, 2.5, 3, 3, 3.5, 4, 4, 5, 6, 7, 8, 8],
  [1, 0.5, 0.3, 0.2, 0.4, 1.5, 3, 5, 6, 6, 6, 6, 5, 5, 6, 6, 6, 5, 5, 5, 5, 4, 3, 2],
];
/** Shops are open from 8 to 20 o'clock. */
export const STORE_HOURS: readonly number[] = [0, 0, 0, 0, 0, 0, 0, 2, 4, 6, 7, 7, 6, 5, 6, 8, 10, 9, 6, 2, 0, 0, 0, 0];

/** The people of the shop: who they are, whom they live with, what they own, what they like. */
export class People {
  readonly customers: Customer[] = [];
  readonly terminals: readonly string[];
  readonly #world: World;
  readonly #random: SeededRandom;

  constructor(world: World) {
    this.#world = world;
    this.#random = world.random("people");
    const { scale } = world.options;
    this.terminals = Array.from({ length: Math.max(4, Math.round(16 * scale)) }, () => world.id("trm"));
    const count = Math.max(30, Math.round(2_600 * scale));
    while (this.customers.length < count) this.join(world.start - (2 + this.#random.exponential(320)) * DAY_MS);
  }

  /** A new customer, alone or in a household that is known. */
  join(registeredAt: number): Customer {
    const random = this.#random;
    const household =
      this.customers.length > 10 && random.chance(0.22) ? random.pick(this.customers).household : this.#settle();
    const persona = PERSONAS[random.weighted(PERSONAS.map((candidate) => candidate.share))];
    const loyalty = random.next();
    const devices = Array.from({ length: 1 + random.weighted([5, 4, 1]) }, () => this.newDevice());
    if (household.sharedDevice !== undefined && random.chance(0.7)) devices.push(household.sharedDevice);
    const activity = random.gamma(0.9);
    const customer: Customer = {
      id: this.#world.id("cus"),
      registeredAt: Math.floor(registeredAt),
      household,
      liking: {
        tier: random.weighted([3, 4, 2.4]) + random.between(-0.3, 0.3),
        priceSensitivity: random.gamma(2),
        brands: new Set(BRANDS.filter(() => random.chance(0.22 * loyalty)).map((brand) => brand.name)),
      },
      tastes: CATEGORIES.map((row) => (persona?.departments[row.department] ?? 0.12) * random.gamma(0.35)),
      sessionsPerDay: 0.046 * activity + 0.003,
      storeVisitsPerDay: random.chance(0.45) ? 0.022 * random.gamma(1.2) : 0,
      buys: Math.min(0.85, 0.4 + 0.45 * random.next() ** 2),
      hours: HOUR_PROFILES[random.weighted([5, 3, 1.3, 3])] ?? STORE_HOURS,
      prefersApp: random.chance(0.42),
      devices,
      cards: this.#wallet(household),
      terminals: [random.pick(this.terminals), random.pick(this.terminals)],
      paysBy: [7 * random.gamma(2), 2.2 * random.gamma(0.6), 1.2 * random.gamma(0.4), 0.8 * random.gamma(0.4), 0.12],
      habits: [],
      disputes: random.chance(0.006),
      writes: 0.03 + 0.25 * random.next() ** 4,
      abroadUntil: 0,
      abroadIp: "",
      orders: 0,
      spent: 0,
      segment: "",
    };
    household.members.push(customer);
    this.customers.push(customer);
    return customer;
  }

  newDevice(): string {
    return this.#world.id("dev");
  }

  newCard(country: string): Card {
    return { id: this.#world.id("card"), country };
  }

  newPlace(country: string): Place {
    const random = this.#random;
    return { addressId: this.#world.id("adr"), country, postalCode: String(10_000 + random.below(89_999)) };
  }

  /** An address of a provider's customers (100.64.0.0/10), or of a far network or proxy (198.18.0.0/15): nobody's in reality. */
  newIp(far: boolean): string {
    const random = this.#random;
    const [first, second] = far ? [198, 18 + random.below(2)] : [100, 64 + random.below(64)];
    return `${first}.${second}.${random.below(256)}.${1 + random.below(254)}`;
  }

  /** What changes in people's lives on one day: newcomers, new devices and cards, journeys, changing tastes. */
  live(day: number): void {
    const random = this.#random;
    const at = this.#world.day(day);
    for (let count = random.poisson(4.6 * this.#world.options.scale); count > 0; count--)
      this.join(at + random.below(DAY_MS));
    for (const customer of this.customers) {
      if (random.chance(0.0016)) customer.devices[random.below(customer.devices.length)] = this.newDevice();
      if (random.chance(0.0007)) customer.cards[0] = this.newCard(customer.household.home.country);
      if (random.chance(0.0011)) {
        customer.abroadUntil = at + (3 + random.below(14)) * DAY_MS;
        customer.abroadIp = this.newIp(true);
      }
      if (random.chance(0.01)) customer.household.ipAddress = this.newIp(false);
      if (random.chance(0.004)) customer.tastes[random.below(CATEGORIES.length)] = 2.5 * random.gamma(0.8);
    }
  }

  #settle(): Household {
    const random = this.#random;
    const country = COUNTRIES[random.weighted(COUNTRIES.map(([, share]) => share))]?.[0] ?? "DE";
    return {
      home: this.newPlace(country),
      ipAddress: this.newIp(false),
      members: [],
      sharedDevice: random.chance(0.3) ? this.newDevice() : undefined,
    };
  }

  /** One or two cards; families share some, and a few people have a card of another country. */
  #wallet(household: Household): Card[] {
    const random = this.#random;
    const cards: Card[] = [];
    const relative = household.members[0]?.cards[0];
    if (relative !== undefined && random.chance(0.35)) cards.push(relative);
    const country = random.chance(0.03) ? random.pick(FAR_COUNTRIES) : household.home.country;
    cards.push(this.newCard(country));
    if (random.chance(0.3)) cards.push(this.newCard(household.home.country));
    return cards;
  }
}
