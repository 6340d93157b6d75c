import { ARMS, type Arm } from "../contract/recommendation-arms.ts";
import type { Sample } from "./metric-registry.ts";
import { type RatioSums, relativeUplift } from "./uplift.ts";

/** Gauges of recommendations that follow from counters since the start of counting: shares by arm, and what the recommender changes against the control. */
export function recommendationRatios(samples: readonly Sample[]): string[] {
  const total = (name: string, ...labels: readonly string[]): number =>
    samples.reduce((sum, sample) => {
      const is = sample.name === name && labels.every((label) => sample.labels.includes(label));
      return is ? sum + sample.value : sum;
    }, 0);
  const lists = total("recommendations_served_total");
  if (lists === 0) return [];
  const share = (arm: Arm, kind: string): string | null => {
    const shown = total("recommendation_items_served_total", `arm="${arm}"`);
    return shown === 0
      ? null
      : String(total("recommendation_feedback_total", `arm="${arm}"`, `kind="${kind}"`) / shown);
  };
  const byArm = (name: string, help: string, kind: string): string[] => {
    const values = ARMS.flatMap((arm) => {
      const value = share(arm, kind);
      return value === null ? [] : [`${name}{arm="${arm}"} ${value}`];
    });
    return values.length === 0 ? [] : [...header(name, help), ...values];
  };
  const fallbacks = total("recommendations_served_total", 'fallback="true"');
  return [
    ...byArm("ctr_current", "Clicked products per product shown, by arm", "click"),
    ...byArm("conversion_current", "Bought products per product shown, by arm", "purchase"),
    ...header("recommendation_fallback_share", "Lists that a fallback made"),
    `recommendation_fallback_share ${fallbacks / lists}`,
    ...uplift("ctr_uplift", "click", total),
    ...uplift("conversion_uplift", "purchase", total),
  ];
}

function uplift(name: string, kind: string, total: (name: string, ...labels: readonly string[]) => number): string[] {
  const sums = (arm: Arm): RatioSums => {
    const of = (sum: string): number => total("recommendation_experiment_sums_total", `arm="${arm}"`, `sum="${sum}"`);
    return {
      units: of("visitors"),
      x: of("shown"),
      y: of(kind),
      xx: of("shown*shown"),
      yy: of(`${kind}*${kind}`),
      xy: of(`${kind}*shown`),
    };
  };
  const found = relativeUplift(sums("recommender"), sums("control"));
  if (found === null) return [];
  const what = kind === "click" ? "Clicked" : "Bought";
  return [
    ...header(name, `${what} products per product shown, recommender against control: 0.2 is 20 % more`),
    `${name} ${found.value}`,
    ...header(`${name}_low`, "Lower end of its 95 % interval"),
    `${name}_low ${found.low}`,
    ...header(`${name}_high`, "Upper end of its 95 % interval"),
    `${name}_high ${found.high}`,
  ];
}

function header(name: string, help: string): string[] {
  return [`# HELP ${name} ${help}`, `# TYPE ${name} gauge`];
}
