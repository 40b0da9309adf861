/** Who gives a command, as the audit log of a run has it. */
import { userInfo } from 'node:os';
import { nameProblem } from '../alignment/governance/decision.ts';
import type { CommandContext } from './context.ts';
import { badInput } from './errors.ts';

export const byOption = [
  '--by <name>',
  'who gives the command, for the audit log (default: CADA_OPERATOR, else the name of the account)',
] as const;

/** @throws CliError where it is no name */
export function operatorName({ env }: Pick<CommandContext, 'env'>, by?: string): string {
  const name = (by ?? (env['CADA_OPERATOR'] || accountName())).trim();
  const problem = nameProblem(name);
  if (problem) throw badInput(`${by === undefined ? 'CADA_OPERATOR' : '--by'} ${problem}.`);
  return name;
}

function accountName(): string {
  try {
    return userInfo().username;
  } catch {
    // An account without an entry, as in a container that runs by number.
    return `user ${process.getuid?.() ?? 'unknown'}`;
  }
}
