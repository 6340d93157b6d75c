import type { ReportRow } from "../../../models/contract/report.ts";
import { rowOf } from "../report.ts";
import type { BenchEdges, Variant } from "./edges.ts";
import { runLoad } from "./load.ts";
import { OrderRequests, type Workload } from "./workload.ts";

/**
 * First answers of runtimes started afresh, the product's and the empty Worker's in turn, over the same state. The isolate reads the
 * routing record and the model, proves it, verifies the token and opens its objects within that one request.
 */
export async function freshStarts(edges: BenchEdges, { templates }: Workload, starts: number): Promise<ReportRow[]> {
  await edges.copyState("product", "fresh-empty");
  const took: Record<"product" | "empty", { ready: number; answer: number }[]> = { product: [], empty: [] };
  for (let round = 0; round < starts; round++) {
    for (const variant of ["empty", "product"] as const) {
      took[variant].push(
        await startOnce(
          edges,
          variant,
          new OrderRequests({ templates, token: edges.token, name: `f${round}`, draw: "uniform" }),
        ),
      );
    }
  }
  const over = (part: "ready" | "answer"): number[] =>
    took.product.map((start, round) => start[part] - (took.empty[round]?.[part] ?? Number.NaN));
  const answers = over("answer");
  return [
    rowOf("http.fresh.first-answer-over-empty", "ms", answers, {
      floor: 60,
      aim: 20,
      better: "lower",
      note: "first scored request of a fresh isolate, less the empty Worker's first request",
    }),
    rowOf(
      "http.fresh.first-answer",
      "ms",
      took.product.map((start) => start.answer),
      { better: "lower" },
    ),
    rowOf(
      "http.fresh.empty-first-answer",
      "ms",
      took.empty.map((start) => start.answer),
      { better: "lower" },
    ),
    rowOf("http.fresh.ready-over-empty", "ms", over("ready"), {
      better: "lower",
      note: "process start until it listens, scripts compiled and their global scope run",
    }),
  ];
}

async function startOnce(
  edges: BenchEdges,
  variant: Variant,
  requests: OrderRequests,
): Promise<{ ready: number; answer: number }> {
  const started = performance.now();
  const edge = await edges.start(variant, variant === "empty" ? "fresh-empty" : variant);
  const ready = performance.now() - started;
  try {
    const { latenciesMs, failures } = await runLoad({
      url: edge.url,
      connections: 1,
      next: () => requests.next(),
      requests: 1,
    });
    const [failure] = failures;
    if (failure) throw new Error(`a fresh ${variant} answered ${failure[0]}: ${failure[1]}`);
    return { ready, answer: latenciesMs[0] ?? Number.NaN };
  } finally {
    await edge.stop();
  }
}
