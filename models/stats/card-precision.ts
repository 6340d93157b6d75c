/**
 * Card precision top-k of the Fraud Detection Handbook (Le Borgne et al. 2022, ch. 4.4, `card_precision_top_k`): on each
 * day cards are ranked by their highest score, a card counts as found when any of its transactions that day is fraud,
 * and a card found on a day is not looked at on later days. The metric is the mean over days of found cards / k.
 */
export interface CardPrecisionInput {
  readonly labels: ArrayLike<number>;
  readonly scores: ArrayLike<number>;
  /** Card (or customer) id per row. */
  readonly cards: ArrayLike<number>;
  /** Day number per row; days are taken in ascending order. */
  readonly days: ArrayLike<number>;
  readonly k: number;
}

export interface CardPrecision {
  readonly mean: number;
  readonly perDay: readonly { readonly day: number; readonly precision: number; readonly fraudulentCards: number }[];
}

/** Equal scores are ranked by card id, so that the result does not depend on the order of rows. */
export function cardPrecisionTopK(input: CardPrecisionInput): CardPrecision {
  const rowsOfDay = new Map<number, number[]>();
  for (let row = 0; row < input.labels.length; row++) {
    const day = input.days[row] ?? 0;
    const rows = rowsOfDay.get(day);
    if (rows) rows.push(row);
    else rowsOfDay.set(day, [row]);
  }
  const found = new Set<number>();
  const perDay = [...rowsOfDay.keys()]
    .sort((a, b) => a - b)
    .map((day) => {
      const cards = cardsOfDay(rowsOfDay.get(day) ?? [], input, found);
      const ranked = [...cards].sort(([a, x], [b, y]) => y.score - x.score || a - b).slice(0, input.k);
      let hits = 0;
      for (const [card, { fraud }] of ranked) {
        if (!fraud) continue;
        hits++;
        found.add(card);
      }
      const fraudulentCards = [...cards.values()].filter((card) => card.fraud).length;
      return { day, precision: hits / input.k, fraudulentCards };
    });
  return { mean: perDay.reduce((sum, day) => sum + day.precision, 0) / perDay.length, perDay };
}

function cardsOfDay(
  rows: readonly number[],
  input: CardPrecisionInput,
  found: ReadonlySet<number>,
): Map<number, { score: number; fraud: boolean }> {
  const cards = new Map<number, { score: number; fraud: boolean }>();
  for (const row of rows) {
    const card = input.cards[row] ?? 0;
    if (found.has(card)) continue;
    const score = input.scores[row] ?? Number.NaN;
    const fraud = input.labels[row] === 1;
    const seen = cards.get(card);
    if (seen) {
      seen.score = Math.max(seen.score, score);
      seen.fraud ||= fraud;
    } else cards.set(card, { score, fraud });
  }
  return cards;
}
