import { workerData } from "node:worker_threads";
import { serveTasks } from "../serve-tasks.ts";
import { type ExecutorInput, ialsExecutor } from "./executor.ts";

serveTasks(ialsExecutor(workerData as ExecutorInput));
