/** Something the user can put right: the CLI prints the message alone. Anything else that is thrown is a bug. */
export class UserError extends Error {
  /** 1: the work failed or its answer is no. 2: the command line is wrong. */
  readonly exitCode: 1 | 2;

  constructor(message: string, exitCode: 1 | 2 = 1) {
    super(message);
    this.name = "UserError";
    this.exitCode = exitCode;
  }
}
