/** `cada doctor`: what this machine has and lacks for a run, and what to do about it. */
import type { Command } from 'commander';
import picocolors from 'picocolors';
import { placesOf, print, printJson } from '../context.ts';
import type { CommandContext } from '../context.ts';
import { exitCodes } from '../exitCodes.ts';
import { storeOption } from '../runArguments.ts';
import type { Check } from '../../infra/doctor/check.ts';
import { escapeForTerminal } from '../../infra/logging/escape.ts';

export function addDoctorCommand(program: Command, context: CommandContext): void {
  program
    .command('doctor')
    .description(
      'Checks machine, Node, Temporal, store, model, disk and memory; says what to do. Changes and downloads nothing.',
    )
    .option(...storeOption)
    .option('--json', 'for scripts: {ok, checks: [{name, state, found, remedy}]}')
    .action(async (options: { store?: string; json?: true }) => {
      const operations = await context.operations();
      const checks = await operations.examine(placesOf(context, options.store));
      const ok = checks.every(({ state }) => state !== 'fail');
      if (options.json) printJson(context, { ok, checks });
      else print(context, describeChecks(checks));
      if (!ok) context.setExitCode(exitCodes.environment);
    });
}

export function describeChecks(checks: readonly Check[]): string {
  const marks = {
    ok: picocolors.green('ok     '),
    warn: picocolors.yellow('warning'),
    fail: picocolors.red('problem'),
  };
  const width = Math.max(...checks.map(({ name }) => name.length));
  const lines = checks.map(({ name, state, found, remedy }) => {
    const line = `${marks[state]}  ${name.padEnd(width)}  ${escapeForTerminal(found)}`;
    return remedy !== '' && state !== 'ok' ? `${line}\n${' '.repeat(11 + width)}-> ${escapeForTerminal(remedy)}` : line;
  });
  const problems = checks.filter(({ state }) => state === 'fail').length;
  const verdict = problems === 0 ? 'Ready.' : `${problems} ${problems === 1 ? 'problem' : 'problems'} to mend first.`;
  return [...lines, '', verdict].join('\n');
}
