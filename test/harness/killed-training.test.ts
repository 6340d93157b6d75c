/** Training is killed with SIGKILL at twenty seeded random instants, in every stage, and always ends with the same artefact. */
import { spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { RunRecord, STAGES, type StageName } from "../../batch-training/pipeline/run-record.ts";
import { SeededRandom } from "../support/seeded-random.ts";
import { smallShop } from "./small-shop.ts";
import type { SmallTraining } from "./train-small-shop.ts";

const KILL_SEED = 20_261_121;
const KILLS = 20;
/** Kills of one run, one after the other, before it may finish: a run that is taken up again is killed again. */
const KILLS_PER_RUN = 4;
const TRIALS = 2;
/** A stage that takes this long is also killed between two steps. */
const LONG_STAGE_MS = 300;

const folder = mkdtempSync(join(tmpdir(), "edgewise-killed-training-"));
const log = join(folder, "log.ndjson");
const run = (name: string, champion: string | null): SmallTraining => {
  const out = join(folder, name, "out");
  mkdirSync(out, { recursive: true });
  return {
    log,
    home: join(folder, name, "home"),
    out,
    champion,
    seed: 1,
    trials: champion === null ? 0 : TRIALS,
    dies: null,
  };
};

interface Line {
  readonly stage: StageName | "finished";
  readonly status: string;
  readonly at: number;
  /** Changes of files made so far. */
  readonly steps: number;
}

/** Before so many steps of a stage; in a stage that computes for long, earlier: so many milliseconds after its beginning. */
interface Instant {
  readonly stage: StageName;
  readonly step: number;
  readonly afterMs: number | null;
}

/** Starts the program; with an instant, it is killed there. @returns how it ended and what it printed */
async function train(options: SmallTraining, instant: Instant | null): Promise<{ end: string; lines: Line[] }> {
  const program = join(import.meta.dirname, "train-small-shop.ts");
  const told = JSON.stringify({ ...options, dies: instant });
  const child = spawn(process.execPath, [program, told], { stdio: ["ignore", "pipe", "inherit"] });
  const ended = new Promise<string>((resolve) => {
    child.on("exit", (code, signal) => resolve(signal ?? `code ${code}`));
  });
  const lines: Line[] = [];
  let timer: NodeJS.Timeout | null = null;
  for await (const text of createInterface({ input: child.stdout })) {
    const line = JSON.parse(text) as Line;
    lines.push(line);
    if (instant === null || instant.afterMs === null || timer !== null) continue;
    if (line.stage === instant.stage && line.status === "begins")
      timer = setTimeout(() => child.kill("SIGKILL"), instant.afterMs);
  }
  const end = await ended;
  if (timer !== null) clearTimeout(timer);
  return { end, lines };
}

const artefactOf = ({ out }: SmallTraining) => {
  const serving = readFileSync(join(out, "serving"), "utf8");
  const published = join(out, serving);
  const files = readdirSync(published).toSorted();
  return { serving, files: files.map((name) => [name, readFileSync(join(published, name), "base64")]) };
};

const recordsOf = ({ home }: SmallTraining) =>
  readdirSync(join(home, "runs"))
    .filter((name) => name.endsWith(".json"))
    .map((name) => RunRecord.parse(JSON.parse(readFileSync(join(home, "runs", name), "utf8"))));

/** What a stage of the undisturbed run took. */
interface Extent {
  readonly steps: number;
  readonly ms: number;
}

/**
 * Twenty instants: every stage once, the rest anywhere, each before a random step of its stage; every second one of a stage that computes
 * for long, in the midst of that. Those of one run are in order, so that each takes up what the one before left.
 */
function instants(random: SeededRandom, extents: ReadonlyMap<StageName, Extent>): Instant[][] {
  const stages = [
    ...STAGES,
    ...Array.from({ length: KILLS - STAGES.length }, () => STAGES[random.below(STAGES.length)] ?? "train"),
  ];
  const runs: Instant[][] = Array.from({ length: KILLS / KILLS_PER_RUN }, () => []);
  for (const [index, stage] of stages.entries()) {
    const { steps, ms } = extents.get(stage) ?? { steps: 0, ms: 0 };
    const step = random.below(steps);
    const afterMs = ms >= LONG_STAGE_MS && random.below(2) === 0 ? Math.floor((random.next() * ms) / 2) : null;
    runs[index % runs.length]?.push({ stage, step, afterMs });
  }
  return runs.map((list) => list.toSorted((a, b) => STAGES.indexOf(a.stage) - STAGES.indexOf(b.stage)));
}

let calm: SmallTraining;
const killedRuns: { options: SmallTraining; kills: { instant: Instant; end: string; resumed: number }[] }[] = [];

beforeAll(async () => {
  const end = Date.UTC(2026, 10, 1);
  const stored = [...smallShop({ seed: 4, end }).events()].map((event) => {
    const ingestedAt = Date.parse("recordedtime" in event ? String(event.recordedtime) : event.time);
    return JSON.stringify({ ...event, tenant: "default", ingestedAt });
  });
  writeFileSync(log, `${stored.join("\n")}\n`);
  const first = run("champion", null);
  expect((await train(first, null)).end).toBe("code 0");
  const champion = join(first.out, artefactOf(first).serving);
  calm = run("calm", champion);
  const { end: calmEnd, lines } = await train(calm, null);
  expect(calmEnd).toBe("code 0");
  const extents = new Map<StageName, Extent>();
  const begun = lines.filter(({ stage, status }) => status === "begins" || stage === "finished");
  for (const [index, { stage, at, steps }] of begun.entries()) {
    const next = begun[index + 1];
    if (stage !== "finished" && next) extents.set(stage, { steps: next.steps - steps, ms: next.at - at });
  }
  expect([...extents.keys()]).toEqual([...STAGES]);
  for (const { steps } of extents.values()) expect(steps).toBeGreaterThan(0);
  for (const [index, list] of instants(new SeededRandom(KILL_SEED), extents).entries()) {
    const options = run(`killed-${index}`, champion);
    const kills: { instant: Instant; end: string; resumed: number }[] = [];
    for (const instant of list) {
      const { end: how } = await train(options, instant);
      kills.push({ instant, end: how, resumed: recordsOf(options)[0]?.resumed ?? -1 });
    }
    expect((await train(options, null)).end).toBe("code 0");
    killedRuns.push({ options, kills });
  }
}, 240_000);

afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe("training that is killed", () => {
  it("was killed twenty times, at least once in every stage", () => {
    const kills = killedRuns.flatMap((killed) => killed.kills);
    expect(kills).toHaveLength(KILLS);
    expect(new Set(kills.map(({ instant }) => instant.stage)).size).toBe(STAGES.length);
    for (const { end, instant } of kills) expect(end, `killed in ${instant.stage}`).toBe("SIGKILL");
  });

  it("law: ends with the artefact of the undisturbed run, to the byte: model, card and manifest", () => {
    const expected = artefactOf(calm);
    expect(expected.files.map(([name]) => name)).toEqual(["manifest.json", "model-card.md", "model.onnx"]);
    for (const { options } of killedRuns) expect(artefactOf(options)).toEqual(expected);
  });

  it("is one run with one record, which says how often it was taken up again and has the same findings", () => {
    const [expected] = recordsOf(calm);
    for (const { options } of killedRuns) {
      const records = recordsOf(options);
      expect(records).toHaveLength(1);
      const [record] = records;
      expect(record?.resumed).toBeGreaterThanOrEqual(KILLS_PER_RUN - 1);
      for (const part of [
        "state",
        "version",
        "fingerprint",
        "dataHash",
        "parameters",
        "trials",
        "gates",
        "metrics",
      ] as const)
        expect(record?.[part], part).toEqual(expected?.[part]);
      expect(record?.stages.map(({ stage, hash }) => [stage, hash])).toEqual(
        expected?.stages.map(({ stage, hash }) => [stage, hash]),
      );
    }
  });
});
