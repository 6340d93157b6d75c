import type { SeededRandom } from "./seeded-random.ts";
import { DAY_MS, HOUR_MS, type World } from "./world.ts";

interface Channel {
  readonly name: string;
  readonly level: number;
  /** Half the difference between the day's highest and lowest value. */
  readonly swing: number;
  readonly noise: number;
  /** How much of the last deviation remains in the next reading. */
  readonly memory: number;
}

interface SensorKind {
  readonly name: string;
  readonly channels: readonly Channel[];
}

const KINDS: readonly SensorKind[] = [
  {
    name: "cold-store",
    channels: [
      { name: "temperature", level: 4, swing: 0.5, noise: 0.15, memory: 0.7 },
      { name: "humidity", level: 62, swing: 4, noise: 1.2, memory: 0.6 },
    ],
  },
  {
    name: "conveyor",
    channels: [
      { name: "vibration", level: 2.1, swing: 0.7, noise: 0.12, memory: 0.4 },
      { name: "power", level: 5.5, swing: 2.6, noise: 0.3, memory: 0.5 },
      { name: "temperature", level: 31, swing: 5, noise: 0.6, memory: 0.8 },
    ],
  },
  {
    name: "packing",
    channels: [
      { name: "pressure", level: 6.2, swing: 0.2, noise: 0.05, memory: 0.6 },
      { name: "power", level: 3.1, swing: 1.4, noise: 0.2, memory: 0.5 },
    ],
  },
];

const DISTURBANCES = ["spike", "drift", "stuck", "shift", "noise"] as const;

interface Sensor {
  readonly id: string;
  readonly kind: SensorKind;
  readonly random: SeededRandom;
  readonly deviations: number[];
  readonly last: number[];
  sequence: number;
  disturbance:
    | {
        readonly name: (typeof DISTURBANCES)[number];
        readonly from: number;
        readonly until: number;
        readonly channel: number;
      }
    | undefined;
}

const INTERVAL_MS = HOUR_MS;

/** Sensors of the warehouse: daily rhythm, noise with memory, a reading an hour, and a disturbance every few weeks. */
export class Telemetry {
  readonly #world: World;
  readonly #sensors: readonly Sensor[];

  constructor(world: World) {
    this.#world = world;
    const count = Math.max(3, Math.round(3 * Math.sqrt(world.options.scale)));
    this.#sensors = Array.from({ length: count }, (_, index) => {
      const kind = KINDS[index % KINDS.length] ?? { name: "", channels: [] };
      return {
        id: world.id(`sen-${kind.name}`),
        kind,
        random: world.random(`telemetry/${index}`),
        deviations: kind.channels.map(() => 0),
        last: kind.channels.map((channel) => channel.level),
        sequence: 0,
        disturbance: undefined,
      };
    });
  }

  live(day: number): void {
    const start = this.#world.day(day);
    for (const sensor of this.#sensors) {
      if (sensor.disturbance !== undefined && sensor.disturbance.until <= start) sensor.disturbance = undefined;
      if (sensor.disturbance === undefined && day > 6 && sensor.random.chance(0.06)) this.#disturb(sensor, start);
      for (let at = start; at < start + DAY_MS; at += INTERVAL_MS) this.#read(sensor, at);
    }
  }

  #disturb(sensor: Sensor, start: number): void {
    const { random } = sensor;
    const name = random.pick(DISTURBANCES);
    const from = start + random.below(20) * HOUR_MS;
    const hours = name === "spike" ? 1 + random.below(2) : 5 + random.below(20);
    sensor.disturbance = {
      name,
      from,
      until: from + hours * HOUR_MS,
      channel: random.below(sensor.kind.channels.length),
    };
  }

  #read(sensor: Sensor, at: number): void {
    const { random, kind, disturbance } = sensor;
    const disturbed =
      disturbance !== undefined && at >= disturbance.from && at < disturbance.until ? disturbance : undefined;
    const readings: Record<string, number> = {};
    for (const [index, channel] of kind.channels.entries()) {
      const deviation = channel.memory * (sensor.deviations[index] ?? 0) + random.normal(0, channel.noise);
      sensor.deviations[index] = deviation;
      const phase = (2 * Math.PI * ((at % DAY_MS) - 15 * HOUR_MS)) / DAY_MS;
      let value = channel.level + channel.swing * Math.cos(phase) + deviation;
      if (disturbed?.channel === index) value = distort(disturbed, value, channel, sensor, at);
      sensor.last[index] = value;
      readings[channel.name] = Math.round(value * 1_000) / 1_000;
    }
    // A gateway that lost its connection hands in its readings hours later.
    const late = random.chance(0.01) ? { delayMs: random.between(1, 6) * HOUR_MS } : {};
    const truth = disturbed === undefined ? {} : { anomaly: disturbed.name };
    this.#world.emit(
      "warehouse",
      "telemetry.reading.v1",
      at + random.below(4_000),
      { sensorId: sensor.id, readings, sequence: sensor.sequence++ },
      { ...late, truth },
    );
  }
}

function distort(
  disturbance: NonNullable<Sensor["disturbance"]>,
  value: number,
  channel: Channel,
  sensor: Sensor,
  at: number,
): number {
  const scale = channel.swing + 3 * channel.noise;
  const elapsed = (at - disturbance.from) / (disturbance.until - disturbance.from);
  const distorted: Record<typeof disturbance.name, () => number> = {
    spike: () => value + 2.5 * scale,
    shift: () => value + 1.4 * scale,
    drift: () => value + 2.4 * scale * elapsed,
    stuck: () => sensor.last[disturbance.channel] ?? value,
    noise: () => value + sensor.random.normal(0, 1.2 * scale),
  };
  return distorted[disturbance.name]();
}
