/** The one place where a thrown error becomes a message, a remedy and an exit code. */
import { CommanderError } from 'commander';
import { escapeForTerminal } from '../infra/logging/escape.ts';
import { exitCodes } from './exitCodes.ts';
import type { ExitCode } from './exitCodes.ts';

/** An error that a command raises itself, already in the reader's words. */
export class CliError extends Error {
  override readonly name = 'CliError';
  readonly exitCode: ExitCode;
  readonly remedy: string | undefined;

  constructor(message: string, exitCode: ExitCode, remedy?: string, options?: ErrorOptions) {
    super(message, options);
    this.exitCode = exitCode;
    this.remedy = remedy;
  }
}

export const badInput = (message: string, remedy?: string): CliError =>
  new CliError(message, exitCodes.badInput, remedy);
export const badEnvironment = (message: string, remedy?: string, cause?: unknown): CliError =>
  new CliError(message, exitCodes.environment, remedy, { cause });

export interface ExplainedError {
  /** Empty where everything was said already (commander prints usage errors itself). */
  message: string;
  remedy?: string;
  exitCode: ExitCode;
}

/** Errors of the parts below, by their name: which are the user's input and which the surroundings. */
const exitCodeByName: Record<string, ExitCode> = {
  ConfigurationError: exitCodes.badInput,
  InvalidKeyError: exitCodes.badInput,
  LibraryError: exitCodes.badInput,
  ModelSourceError: exitCodes.badInput,
  UnsharedStoreError: exitCodes.badInput,
  StoreUnavailableError: exitCodes.environment,
  DocumentCorruptError: exitCodes.environment,
  ArtifactMissingError: exitCodes.environment,
  ArtifactCorruptError: exitCodes.environment,
  StoreFullError: exitCodes.environment,
  TemporalServerNotFound: exitCodes.environment,
  TemporalConnectionError: exitCodes.environment,
  PayloadKeyError: exitCodes.environment,
  AttemptFailed: exitCodes.environment,
};

/** Failures of the operating system and the network: what they mean here, and what helps. */
const systemErrors: Record<string, { what: string; remedy: string }> = {
  ENOSPC: {
    what: 'no space is left on the disk',
    remedy:
      'Free some, or point CADA_HOME (runs) and CADA_CACHE (downloads) at a larger disk; `cada clean` removes old runs.',
  },
  EDQUOT: {
    what: 'the disk quota is used up',
    remedy: 'Free some, or point CADA_HOME and CADA_CACHE at another disk.',
  },
  EACCES: {
    what: 'access is denied',
    remedy: 'Check the rights of that path, or choose another by CADA_HOME and CADA_CACHE.',
  },
  EROFS: { what: 'the disk is read-only', remedy: 'Point CADA_HOME and CADA_CACHE at a disk that can be written.' },
  ECONNREFUSED: {
    what: 'nothing answers at that address',
    remedy: 'Start the server, or correct its address; `cada doctor` checks both.',
  },
  ENOTFOUND: {
    what: 'the host name is unknown',
    remedy: 'Correct the address, or check the network; `cada doctor` helps.',
  },
};

const GRPC_UNAVAILABLE = 14;

export function explainError(error: unknown): ExplainedError {
  if (error instanceof CommanderError) {
    return { message: '', exitCode: error.exitCode === 0 ? exitCodes.done : exitCodes.badInput };
  }
  if (error instanceof CliError) return withRemedy(error.message, error.exitCode, error.remedy);
  if (!(error instanceof Error)) return { message: String(error), exitCode: exitCodes.failure };
  if (error.name === 'AbortError') return { message: 'Stopped.', exitCode: exitCodes.interrupted };

  const causes = causesOf(error);
  for (const cause of causes) {
    const known = exitCodeByName[cause.name];
    if (known !== undefined) {
      // A model that can't be had because the network is down is no mistake in the configuration.
      const outside = causes.some(({ name }) => exitCodeByName[name] === exitCodes.environment);
      return withRemedy(cause.message, outside ? exitCodes.environment : known, remedyOf(cause));
    }
    const { code } = cause as { code?: unknown };
    const system = typeof code === 'string' ? systemErrors[code] : undefined;
    if (system) return withRemedy(`${cause.message} (${system.what})`, exitCodes.environment, system.remedy);
    if (code === GRPC_UNAVAILABLE) {
      const remedy = 'Start it, or correct TEMPORAL_ADDRESS; without an address CADA starts a server of its own.';
      return withRemedy(`The Temporal server does not answer: ${cause.message}`, exitCodes.environment, remedy);
    }
  }
  // A workflow's failure wraps the activity's, which says what happened.
  const innermost = causes.at(-1) ?? error;
  const message = innermost === error ? error.message : `${error.message}: ${innermost.message}`;
  return withRemedy(message, exitCodes.failure, remedyOf(innermost));
}

/** Message and remedy as they are printed; with the stack where someone asked for it. */
export function renderError(error: unknown, verbose: boolean): { text: string; exitCode: ExitCode } {
  const { message, remedy, exitCode } = explainError(error);
  const parts = [message, remedy].filter((part) => part !== undefined && part !== '');
  if (verbose && message !== '' && error instanceof Error) parts.push(...causesOf(error).map((cause) => cause.stack));
  // Messages quote names and values of files that others made.
  return { text: escapeForTerminal(parts.join('\n')), exitCode };
}

/** The error and what caused it, outermost first. */
function causesOf(error: Error): Error[] {
  const chain: Error[] = [];
  for (let cause: unknown = error; cause instanceof Error && chain.length < 10; cause = cause.cause) chain.push(cause);
  return chain;
}

function remedyOf(error: Error): string | undefined {
  const { remedy } = error as { remedy?: unknown };
  return typeof remedy === 'string' ? remedy : undefined;
}

function withRemedy(message: string, exitCode: ExitCode, remedy: string | undefined): ExplainedError {
  return { message, exitCode, ...(remedy === undefined ? {} : { remedy }) };
}
