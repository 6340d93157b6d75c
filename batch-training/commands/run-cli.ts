/**
 * Runs a citty command with the error behaviour every command shares: a message on stderr without a stack trace, exit
 * code 0 (done), 1 (failed) or 2 (wrong command line). `EDGEWISE_DEBUG=1` adds the stack.
 */
import { stripVTControlCharacters } from "node:util";
import { type ArgsDef, type CommandDef, defineCommand, renderUsage, runCommand } from "citty";
import { UserError } from "./user-error.ts";

/** citty's commands are contravariant in their arguments, so a table of different commands has no narrower type. */
// oxlint-disable-next-line typescript/no-explicit-any
export type AnyCommand = CommandDef<any>;

export async function runCli(root: AnyCommand, argv: readonly string[]): Promise<0 | 1 | 2> {
  try {
    if (argv.length === 0 || argv.some((word) => word === "--help" || word === "-h")) {
      console.log(plain(await usageOf(root, argv)));
      return argv.length === 0 ? 2 : 0;
    }
    await runCommand(root, { rawArgs: [...argv] });
    return 0;
  } catch (error) {
    return report(error);
  }
}

/**
 * A command that refuses options it does not know (citty ignores them, so a misspelt `--tolerence` would go unnoticed)
 * and surplus arguments.
 */
export function strictCommand<T extends ArgsDef>(command: CommandDef<T> & { args: T }): CommandDef<T> {
  const known = new Set(["_"]);
  let positionals = 0;
  for (const [name, arg] of Object.entries<ArgsDef[string]>(command.args)) {
    known.add(name).add(name.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`));
    known.add(name.replaceAll(/-([a-z])/g, (_, letter: string) => letter.toUpperCase()));
    if (arg.type === "positional") positionals++;
    else if ("alias" in arg && arg.alias !== undefined) for (const alias of [arg.alias].flat()) known.add(alias);
  }
  return defineCommand<T>({
    ...command,
    run: async (context) => {
      const unknown = Object.keys(context.args).find((name) => !known.has(name));
      if (unknown !== undefined) throw new UserError(`unknown option --${unknown}; --help lists the options`, 2);
      const surplus = context.args._[positionals];
      if (surplus !== undefined) throw new UserError(`unexpected argument "${surplus}"; --help shows the usage`, 2);
      await command.run?.(context);
    },
  });
}

async function usageOf(root: AnyCommand, argv: readonly string[]): Promise<string> {
  let command = root;
  let parent: AnyCommand | undefined;
  for (const word of argv) {
    const table = await resolve(command.subCommands);
    if (!table || !Object.hasOwn(table, word)) break;
    parent = command;
    command = (await resolve(table[word])) ?? command;
  }
  return renderUsage(command, parent);
}

async function resolve<T>(value: T | Promise<T> | (() => T | Promise<T>) | undefined): Promise<T | undefined> {
  return typeof value === "function" ? (value as () => T | Promise<T>)() : value;
}

function report(error: unknown): 1 | 2 {
  const failure = error instanceof Error ? error : new Error(String(error));
  // citty names its own errors (missing argument, unknown command) but does not export their class.
  const usage = failure.name === "CLIError";
  const message = error instanceof UserError || usage ? plain(failure.message) : `unexpected error: ${failure.message}`;
  console.error(`edgewise: ${message}${usage ? "; --help shows the usage" : ""}`);
  if (process.env["EDGEWISE_DEBUG"]) console.error(failure.stack);
  return error instanceof UserError ? error.exitCode : usage ? 2 : 1;
}

/** citty colours its text even where no terminal reads it. */
const plain = (text: string): string => (process.stdout.isTTY ? text : stripVTControlCharacters(text));
