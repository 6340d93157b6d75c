/** What the running system counts of lists and their outcomes, by arm, as `/metrics` says it. */
import { metrics } from "../../models/contract/api/system.ts";
import type { ApiClient } from "../client/api-client.ts";

export interface ArmFigures {
  readonly lists: number;
  readonly shown: number;
  readonly clicks: number;
  readonly carts: number;
  readonly purchases: number;
  /** Visitors that are compared. */
  readonly visitors: number;
}

export interface Uplift {
  /** Relative: 0.2 is 20 % more. */
  readonly value: number;
  readonly low: number;
  readonly high: number;
}

export interface ListFigures {
  readonly recommender: ArmFigures;
  readonly control: ArmFigures;
  readonly outside: ArmFigures;
  /** Recommender against control, with a 95 % interval; null where there is too little to compare. */
  readonly ctrUplift: Uplift | null;
  readonly conversionUplift: Uplift | null;
}

export async function readListFigures(client: Pick<ApiClient, "call">): Promise<ListFigures> {
  const { body } = await client.call(metrics);
  const samples = samplesOf(body);
  const total = (name: string, ...labels: readonly string[]): number =>
    samples.reduce(
      (sum, sample) =>
        sample.name === name && labels.every((label) => sample.labels.includes(label)) ? sum + sample.value : sum,
      0,
    );
  const armFigures = (arm: string): ArmFigures => {
    const outcomes = (kind: string): number => total("recommendation_feedback_total", `arm="${arm}"`, `kind="${kind}"`);
    return {
      lists: total("recommendations_served_total", `arm="${arm}"`),
      shown: total("recommendation_items_served_total", `arm="${arm}"`),
      clicks: outcomes("click"),
      carts: outcomes("cart"),
      purchases: outcomes("purchase"),
      visitors: total("recommendation_experiment_sums_total", `arm="${arm}"`, 'sum="visitors"'),
    };
  };
  const upliftOf = (name: string): Uplift | null => {
    const known = samples.some((sample) => sample.name === name);
    return known ? { value: total(name), low: total(`${name}_low`), high: total(`${name}_high`) } : null;
  };
  return {
    recommender: armFigures("recommender"),
    control: armFigures("control"),
    outside: armFigures("outside"),
    ctrUplift: upliftOf("ctr_uplift"),
    conversionUplift: upliftOf("conversion_uplift"),
  };
}

interface Sample {
  readonly name: string;
  readonly labels: string;
  readonly value: number;
}

/** Lines of the Prometheus text format; names end at a brace or a space. */
function samplesOf(text: string): Sample[] {
  return text.split("\n").flatMap((line) => {
    const match = /^([a-z_]+)(?:\{(.*)\})? (\S+)$/.exec(line);
    return match ? [{ name: match[1] ?? "", labels: match[2] ?? "", value: Number(match[3]) }] : [];
  });
}
