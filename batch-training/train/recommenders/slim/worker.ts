import { workerData } from "node:worker_threads";
import { serveTasks } from "../serve-tasks.ts";
import { slimExecutor, type SlimInput } from "./solve-columns.ts";

serveTasks(slimExecutor(workerData as SlimInput));
