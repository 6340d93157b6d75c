import { join } from "node:path";
import { evaluateFraud } from "../../batch-training/evaluate/evaluate-fraud.ts";
import { evaluateTabular, type TabularOptions } from "../../batch-training/evaluate/evaluate-tabular.ts";
import { fraudReport } from "../../batch-training/evaluate/fraud-report.ts";
import { tabularReport } from "../../batch-training/evaluate/tabular-report.ts";
import type { Report } from "../../models/contract/report.ts";
import { DATA_SETS } from "../support/data-sets.ts";
import type { BenchOptions } from "./main.ts";
import { pythonRivals, type Rivals } from "./quality/rivals.ts";
import { makeReport } from "./report.ts";

/**
 * Quality of boosted trees on the outside data sets under their protocols, beside outside libraries in the same run where
 * EDGEWISE_PYTHON names an interpreter that has them. EDGEWISE_QUALITY picks sets by name, comma-separated.
 */
const python = process.env["EDGEWISE_PYTHON"];
const rivals = (...models: string[]): { rivals?: Rivals } =>
  python === undefined ? {} : { rivals: pythonRivals(python, models) };

type Evaluate = (folder: string, options: BenchOptions) => Promise<Report>;

const SETS: Readonly<Record<string, Evaluate>> = {
  vehicle: tabularSet("fraud-vehicle-insurance/claims-1994-1995.csv.gz", {
    target: "FraudFound",
    positive: "Yes",
    drop: ["PolicyNumber", "RepNumber"],
    group: "Sex",
    // All of 1994 is earlier than the boundary nearest to this share, all of 1995 later.
    split: { kind: "by-time", column: "Year", trainShare: 0.54 },
    ...rivals("sklearn_boosting", "lightgbm", "sklearn_logistic_regression"),
  }),
  adult: tabularSet("fairness-adult/adult-data.csv.gz", {
    target: "income",
    positive: ">50K",
    drop: [],
    group: "sex",
    split: { kind: "folds", folds: 5, seed: 1 },
    ...rivals("lightgbm", "sklearn_boosting"),
  }),
  ecommerce: tabularSet("fraud-ecommerce/transactions.csv.gz", {
    target: "class",
    positive: "1",
    drop: ["user_id"],
    group: "sex",
    split: { kind: "folds", folds: 5, seed: 1 },
    ...rivals("lightgbm", "sklearn_boosting"),
  }),
  cards: async (folder, { onStage }) =>
    fraudReport(
      await evaluateFraud({
        transactions: join(folder, "fraud-handbook-cards/transactions-2018-05-01_2018-08-07.csv.gz"),
        plan: { trainStart: Date.UTC(2018, 5, 27), trainDays: 7, delayDays: 7, testDays: 7 },
        windows: 4,
        seed: 1,
        progress: onStage,
        ...rivals("sklearn_logistic_regression", "sklearn_random_forest", "xgboost", "lightgbm"),
      }),
      {},
    ),
};

type Table = Omit<TabularOptions, "data" | "seed" | "parameters" | "allowLeaks" | "progress">;

function tabularSet(file: string, table: Table): Evaluate {
  return async (folder, { onStage }) => {
    const options = { data: join(folder, file), seed: 1, parameters: {}, allowLeaks: false, progress: onStage };
    return tabularReport(await evaluateTabular({ ...options, ...table }), 1, {});
  };
}

export async function benchQuality(options: BenchOptions): Promise<Report> {
  if (DATA_SETS === null) throw new Error("the data sets are not at hand: set EDGEWISE_DATA to their folder");
  if (python === undefined) options.onStage("EDGEWISE_PYTHON is not set: no outside library in this run, so no claim");
  const wanted = process.env["EDGEWISE_QUALITY"]?.split(",") ?? Object.keys(SETS);
  const rows: Report["rows"] = [];
  for (const name of wanted) {
    options.onStage(name);
    const report = await SETS[name]?.(DATA_SETS, options);
    for (const row of report?.rows ?? []) rows.push({ ...row, id: `${name}/${row.id}` });
  }
  return makeReport("bench quality", "1", {
    parameters: { sets: wanted.join(","), outside: python !== undefined },
    rows,
  });
}
