/** `edgewise jobs`: training runs that are asked for here and done by `edgewise worker` elsewhere. */
import { defineCommand } from "citty";
import {
  cancelJob,
  createJob,
  getJob,
  JobRequest,
  JobState,
  listJobs,
  type TrainingJob,
} from "../../models/contract/api/jobs.ts";
import { connectionArgs } from "../client/connection.ts";
import { asUserError, connectOrExplain } from "./connection.ts";
import { strictCommand } from "./run-cli.ts";
import { UserError } from "./user-error.ts";

const option = (description: string, valueHint: string) => ({ type: "string", description, valueHint }) as const;
const job = { type: "positional", description: "the job's id", valueHint: "JOB", required: true } as const;

const create = strictCommand({
  meta: { name: "create", description: "Ask for a training run" },
  args: {
    model: { ...option("of the registry", "NAME"), default: "fraud-orders" },
    seed: { ...option("of every draw", "N"), default: "1" },
    search: { ...option("look for better parameters with so many trials", "TRIALS"), default: "0" },
    set: option("parameters laid over the model's own, as JSON", "JSON"),
    "maturity-days": option("how long a label may take", "DAYS"),
    publish: {
      type: "boolean",
      default: true,
      description: "publish what passes (--no-publish: only train and judge)",
    },
    promote: { type: "boolean", default: false, description: "make it serve when it passes" },
    key: option("the same key gives the same job again", "KEY"),
    ...connectionArgs,
  },
  run: async ({ args }) => {
    const request = JobRequest.safeParse({
      model: args.model,
      seed: Number(args.seed),
      trials: Number(args.search),
      publish: args.publish,
      promote: args.promote,
      ...(args["maturity-days"] !== undefined && { maturityDays: Number(args["maturity-days"]) }),
      ...(args.set !== undefined && { parameters: parametersOf(args.set) }),
    });
    if (!request.success) {
      const issue = request.error.issues[0];
      throw new UserError(`${issue?.path.map(String).join(".")}: ${issue?.message}`, 2);
    }
    const headers = args.key === undefined ? {} : { "idempotency-key": args.key };
    const { body } = await connectOrExplain(args).call(createJob, { body: request.data, headers }).catch(asUserError);
    console.log(describe(body));
  },
});

const list = strictCommand({
  meta: { name: "list", description: "Training jobs, newest first" },
  args: {
    state: option(JobState.options.join(", "), "STATE"),
    model: option("only of this one", "NAME"),
    ...connectionArgs,
  },
  run: async ({ args }) => {
    const state = JobState.optional().safeParse(args.state);
    if (!state.success) throw new UserError(`--state takes one of ${JobState.options.join(", ")}`, 2);
    const query = { limit: 50, state: state.data, model: args.model };
    const { body } = await connectOrExplain(args).call(listJobs, { query }).catch(asUserError);
    if (body.jobs.length === 0) console.log("No training jobs.");
    for (const entry of body.jobs) console.log(describe(entry));
  },
});

const show = strictCommand({
  meta: { name: "show", description: "One job as JSON" },
  args: { job, ...connectionArgs },
  run: async ({ args }) => {
    const { body } = await connectOrExplain(args)
      .call(getJob, { params: { jobId: args.job } })
      .catch(asUserError);
    console.log(JSON.stringify(body, null, 2));
  },
});

const cancel = strictCommand({
  meta: { name: "cancel", description: "Cancel a job" },
  args: { job, ...connectionArgs },
  run: async ({ args }) => {
    const { body } = await connectOrExplain(args)
      .call(cancelJob, { params: { jobId: args.job } })
      .catch(asUserError);
    console.log(describe(body));
  },
});

export const jobs = defineCommand({
  meta: { name: "jobs", description: "Training jobs, done by `edgewise worker`" },
  subCommands: { create, list, show, cancel },
});

function describe(entry: TrainingJob): string {
  const { lease, progress, result, error } = entry;
  const doing =
    lease === null ? "" : `  ${lease.worker}: ${progress?.stage ?? "begins"} ${share(progress?.done ?? null)}`;
  const ended =
    result === null
      ? error === null
        ? ""
        : `  ${error}`
      : `  ${result.version?.slice(0, 12) ?? ""} ${result.reasons.join("; ")}`;
  const state = entry.cancelRequested && entry.state === "running" ? "cancelling" : entry.state;
  return `${entry.jobId}  ${entry.request.model}  ${state}  ${new Date(entry.createdAt).toISOString()}${doing}${ended}`.trimEnd();
}

const share = (done: number | null): string => (done === null ? "" : `${Math.round(100 * done)} %`);

function parametersOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw new UserError(`--set takes a JSON object such as '{"leaves":8}', not ${text}`, 2);
  }
}
