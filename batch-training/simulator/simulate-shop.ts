import { Catalogue } from "./catalogue.ts";
import { Community } from "./community.ts";
import { CustomerCare } from "./customer-care.ts";
import { AccountTakeover } from "./fraud/account-takeover.ts";
import { BotRing } from "./fraud/bot-ring.ts";
import { CardTesting } from "./fraud/card-testing.ts";
import { CompromisedTerminals } from "./fraud/compromised-terminals.ts";
import { StolenCards } from "./fraud/stolen-cards.ts";
import { OrderDesk } from "./order-desk.ts";
import { People } from "./people.ts";
import { Storefront } from "./storefront.ts";
import { Telemetry } from "./telemetry.ts";
import { Visits } from "./visits.ts";
import { type SimulatedEvent, type SimulationOptions, World } from "./world.ts";

/** A shop whose past can be told. Telling it changes it, so it is told once. */
export interface SimulatedShop {
  readonly world: World;
  readonly catalogue: Catalogue;
  readonly people: People;
  /** The whole past, in event-time order; equal times in a fixed order. */
  events(): Generator<SimulatedEvent, void, undefined>;
}

/**
 * A shop as its seed, scale and end determine it: the same options give the same events, byte for byte. No clock, no I/O.
 * @throws {RangeError} when an option is out of its range
 */
export function simulateShop(options: SimulationOptions): SimulatedShop {
  const world = new World(options);
  const catalogue = new Catalogue(world);
  const people = new People(world);
  const desk = new OrderDesk(world, catalogue);
  const community = new Community(world, people);
  const terminals = new CompromisedTerminals(world);
  const storefront = new Storefront(world);
  const visits = new Visits({ world, catalogue, people, desk, storefront, terminals }, (customer, products, at) =>
    community.bought(customer, products, at),
  );
  const care = new CustomerCare(world, people);
  const telemetry = new Telemetry(world);
  const shop = { world, catalogue, people, desk, storefront };
  const fraud = [new StolenCards(shop), new AccountTakeover(shop), new BotRing(shop), new CardTesting(shop)];

  function live(day: number): void {
    catalogue.live(day);
    people.live(day);
    terminals.live(day, people.terminals);
    visits.live(day);
    for (const pattern of fraud) pattern.live(day);
    care.live(day);
    community.live(day, catalogue.products);
    telemetry.live(day);
  }

  return {
    world,
    catalogue,
    people,
    *events() {
      // Nothing that a day brings forth lies before that day, so all earlier facts can be told.
      for (let day = 0; world.day(day) < world.end; day++) {
        live(day);
        yield* told(world, Math.min(world.end, world.day(day + 1)));
      }
    },
  };
}

function* told(world: World, until: number): Generator<SimulatedEvent, void, undefined> {
  for (let next = world.takeBefore(until); next !== undefined; next = world.takeBefore(until)) yield next;
}
