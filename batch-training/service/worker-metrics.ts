/** What the service counts, in Prometheus text (exposition format 0.0.4). */
const METRICS = {
  edgewise_worker_up_seconds: { kind: "gauge", help: "Seconds since the service started" },
  edgewise_worker_jobs_total: { kind: "counter", help: "Attempts at jobs by model and how they ended" },
  edgewise_worker_job_seconds_total: { kind: "counter", help: "Time spent on jobs by model" },
  edgewise_worker_busy: { kind: "gauge", help: "1 while a job runs" },
  edgewise_worker_stage_done: { kind: "gauge", help: "Share of the running job's stage that is done" },
  edgewise_worker_calls_total: { kind: "counter", help: "Calls of the Worker by operation and outcome" },
  edgewise_worker_last_contact_seconds: { kind: "gauge", help: "Unix time of the Worker's last answer" },
  edgewise_worker_scheduled_total: { kind: "counter", help: "Jobs asked for by the schedule, by entry and outcome" },
  edgewise_worker_disk_free_bytes: { kind: "gauge", help: "Free bytes where outputs are kept" },
} as const;

export type WorkerMetric = keyof typeof METRICS;
type Labels = Readonly<Record<string, string>>;

export class WorkerMetrics {
  readonly #values = new Map<WorkerMetric, Map<string, number>>();

  count(name: WorkerMetric, labels: Labels = {}, by = 1): void {
    const series = this.#series(name);
    const key = render(labels);
    series.set(key, (series.get(key) ?? 0) + by);
  }

  set(name: WorkerMetric, value: number, labels: Labels = {}): void {
    this.#series(name).set(render(labels), value);
  }

  text(): string {
    const lines: string[] = [];
    for (const [name, { kind, help }] of Object.entries(METRICS)) {
      const series = this.#values.get(name as WorkerMetric);
      if (!series) continue;
      lines.push(`# HELP ${name} ${help}`, `# TYPE ${name} ${kind}`);
      for (const [labels, value] of series) lines.push(`${name}${labels} ${value}`);
    }
    return `${lines.join("\n")}\n`;
  }

  #series(name: WorkerMetric): Map<string, number> {
    const known = this.#values.get(name);
    if (known) return known;
    const series = new Map<string, number>();
    this.#values.set(name, series);
    return series;
  }
}

function render(labels: Labels): string {
  const parts = Object.entries(labels).map(
    ([name, value]) => `${name}="${value.replaceAll("\\", "\\\\").replaceAll('"', '\\"').replaceAll("\n", "\\n")}"`,
  );
  return parts.length === 0 ? "" : `{${parts.toSorted().join(",")}}`;
}
