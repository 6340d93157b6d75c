/** The simulated shop's customers use what it recommends: they ask the real API, and what they do takes the way of all events. */
import { recommend } from "../../models/contract/api/recommendations.ts";
import type { InboundEvent } from "../../models/contract/events.ts";
import type { ApiClient } from "../client/api-client.ts";
import type { Reaction, Shoppers, ShopVisit } from "../simulator/shoppers.ts";
import { type SendDeps, sendEvents } from "../sources/send-events.ts";
import { LIVE_SEND_DEPS } from "../sources/send/live-deps.ts";
import { type ListFigures, readListFigures } from "./arm-figures.ts";

export interface ShopVisits {
  readonly visits: number;
  /** Lists with a degraded flag. */
  readonly degraded: number;
  /** Outcomes that did not show in the metrics in time; more than 0 says that something is wrong. */
  readonly uncounted: number;
  /** Since counting began. */
  readonly figures: ListFigures;
}

/** Of visitors on this machine: an effect shows within hundreds of visits. */
export const CONTROL_SHARE = "0.25";
/** Visits that a start plays. */
const VISITS = 600;
/** Products of a list on the start page. */
const LIST = 10;
/** Visitors side by side: as many as keep one isolate busy. */
const CONCURRENCY = 4;
/** Lists leave their isolate within a second, counts within another; this leaves room. */
const COUNTED_WITHIN_MS = 10_000;
const POLL_MS = 150;

/** The visits of a start, once: a later start tells what was counted. */
export async function playVisits(
  client: ApiClient,
  shoppers: () => Shoppers,
  onDetail: (detail: string) => void,
): Promise<ShopVisits> {
  const known = await readListFigures(client);
  const { lists: before } = totals(known);
  onDetail(before >= VISITS ? "played by an earlier start" : `${VISITS} visits`);
  const visits =
    before >= VISITS
      ? { visits: before, degraded: 0, uncounted: 0, figures: known }
      : await visitShop({ ...LIVE_SEND_DEPS, client }, shoppers(), VISITS);
  const { recommender, control } = visits.figures;
  onDetail(
    `${recommender.lists} lists by the recommender, ${control.lists} by popularity; ${recommender.clicks + control.clicks} clicks, ${recommender.purchases + control.purchases} purchases`,
  );
  return visits;
}

/** Every visit asks for one list, and everything that becomes of the lists is sent and counted. */
export async function visitShop(
  deps: SendDeps & { readonly client: ApiClient },
  shoppers: Shoppers,
  count: number,
): Promise<ShopVisits> {
  const { client } = deps;
  const before = await readListFigures(client);
  const visits = shoppers.visits(count);
  const reactions: Reaction[] = [];
  let degraded = 0;
  const next = visits.values();
  const visitor = async (): Promise<void> => {
    for (const visit of next) {
      const { reaction, flags } = await visitOnce(deps, shoppers, visit);
      reactions.push(reaction);
      if (flags > 0) degraded++;
    }
  };
  await Promise.all(Array.from({ length: CONCURRENCY }, visitor));
  const events: InboundEvent[] = reactions.flatMap((reaction) => reaction.events);
  if (events.length > 0) await sendEvents(events, deps);
  const expected = reactions.reduce((sum, { clicks, carts, purchases }) => sum + clicks + carts + purchases, 0);
  const counted = await untilCounted(deps, { ...totals(before), expected, visits: count });
  return { visits: count, degraded, ...counted };
}

async function visitOnce(
  { client, now }: SendDeps,
  shoppers: Shoppers,
  visit: ShopVisit,
): Promise<{ readonly reaction: Reaction; readonly flags: number }> {
  const { customerId, sessionId } = visit;
  const { body } = await client.call(recommend, {
    body: { userId: customerId, limit: LIST, placement: "home", context: { sessionId } },
  });
  const { recommendationId, items, degraded } = body;
  const productIds = items.map(({ productId }) => productId);
  return { reaction: shoppers.react(visit, { recommendationId, at: now(), productIds }), flags: degraded.length };
}

/** Waits until the metrics hold what happened. */
async function untilCounted(
  { client, now, sleep }: SendDeps,
  from: { readonly lists: number; readonly outcomes: number; readonly visits: number; readonly expected: number },
): Promise<Pick<ShopVisits, "figures" | "uncounted">> {
  const started = now();
  for (;;) {
    const figures = await readListFigures(client);
    const { lists, outcomes } = totals(figures);
    const uncounted = from.outcomes + from.expected - outcomes;
    const complete = lists >= from.lists + from.visits && uncounted <= 0;
    if (complete || now() - started > COUNTED_WITHIN_MS) return { figures, uncounted };
    await sleep(POLL_MS);
  }
}

function totals({ recommender, control, outside }: ListFigures): { readonly lists: number; readonly outcomes: number } {
  const arms = [recommender, control, outside];
  return {
    lists: arms.reduce((sum, arm) => sum + arm.lists, 0),
    outcomes: arms.reduce((sum, { clicks, carts, purchases }) => sum + clicks + carts + purchases, 0),
  };
}
