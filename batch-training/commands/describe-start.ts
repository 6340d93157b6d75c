/** What `npm start` says when the loop stands. */
import { describeDecision, describeRecommendations, describeVisits } from "../local/demonstrate.ts";
import type { LocalSummary, LocalSystem } from "../local/run-local-system.ts";

export function describeStart(
  { summary, token }: Pick<LocalSystem, "summary" | "token">,
  { once, summaryFile }: { readonly once: boolean; readonly summaryFile: string | undefined },
): string[] {
  const { plain, suspicious, recommender, visits } = summary;
  const lines = [
    "",
    ...describeImport(summary),
    ...(plain ? describeDecision("Plain order", plain) : []),
    ...(suspicious ? describeDecision("Suspicious order", suspicious) : []),
    ...(recommender ? describeRecommender(recommender) : []),
    ...(visits ? describeVisits(visits) : []),
    "",
  ];
  if (summaryFile !== undefined) lines.push(`  Summary: ${summaryFile}`, "");
  if (!once) lines.push(...tryIt(summary, token));
  return lines;
}

function describeRecommender({ shown, refused }: NonNullable<LocalSummary["recommender"]>): string[] {
  return [...describeRecommendations(shown), ...(refused === null ? [] : [`    ${refused}`])];
}

/** Accepted and refused rows of a file of real purchases. */
function describeImport({ parameters, import: report }: LocalSummary): string[] {
  if (parameters.source !== "retail") return [];
  const { rows, acceptedRows, refusedRows, customers, products, orders, offsetDays } = report as {
    rows: number;
    acceptedRows: number;
    refusedRows: Readonly<Record<string, number>>;
    customers: number;
    products: number;
    orders: number;
    offsetDays: number;
  };
  const refused = Object.entries(refusedRows).toSorted(([, a], [, b]) => b - a);
  return [
    `  ${rows} rows: ${acceptedRows} accepted as lines of ${orders} orders by ${customers} customers for ${products} products; times moved by ${offsetDays / 7} weeks`,
    ...refused.map(([reason, count]) => `    ${count} refused: ${reason}`),
    "",
  ];
}

function tryIt({ url, suspicious, recommender }: LocalSummary, token: string): string[] {
  const lines = ["  Try it:", `  export TOKEN=${token}`];
  const bearer = '-H "authorization: Bearer $TOKEN"';
  if (suspicious) {
    const body = JSON.stringify({ order: suspicious.order });
    lines.push(
      `  curl -s ${url}/api/v1/fraud/score ${bearer} -H "content-type: application/json" -d '${body}'`,
      `  curl -s ${url}/api/v1/fraud/orders/${suspicious.order.orderId}/decisions ${bearer}`,
    );
  }
  if (recommender) {
    lines.push(
      `  curl -s '${url}/api/v1/recommendations/products?userId=${recommender.shown.userId}&limit=10' ${bearer}`,
    );
  }
  lines.push(
    `  curl -s ${url}/metrics ${bearer}`,
    `  npm run edgewise -- models show ${suspicious ? "fraud-orders" : "product-recommendations"}`,
    "",
    `  API reference: ${url}/docs      Stop: Ctrl-C`,
    "",
  );
  return lines;
}
