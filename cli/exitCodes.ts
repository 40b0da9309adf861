/** How every `cada` command ends. The table of docs/cli.md; scripts may rely on it. */
export const exitCodes = {
  /** The command did what it was asked to. */
  done: 0,
  /** The run, or a part of the work, failed. */
  failure: 1,
  /** The command line, the configuration or an input file is wrong: nothing was started. */
  badInput: 2,
  /** Something outside is missing: Temporal server, artifact store, disk space, model source. */
  environment: 3,
  /** The run waits for its operator. */
  waiting: 4,
  /** Stopped by Ctrl-C or SIGTERM; the same command goes on. */
  interrupted: 130,
} as const;

export type ExitCode = (typeof exitCodes)[keyof typeof exitCodes];
