/** `cada doctor`: what this machine has and lacks for a run, and what to do about it. */
import type { Command } from 'commander';
import picocolors from 'picocolors';
import { placesOf, print, printJson } from '../context.ts';
import type { CommandContext } from '../context.ts';
import { exitCodes } from '../exitCodes.ts';
import type { Check } from '../operations.ts';
import { escapeForTerminal } from '../terminal.ts';

export function addDoctorCommand(program: Command, context: CommandContext): void {
  program
    .command('doctor')
    .description(
      'Checks machine, Node, Temporal, store, model, disk and memory; says what to do. Changes and downloads nothing.',
    )
    .option('--store <address>', 'artifact store (default: CADA_STORE, else in CADA_HOME)')
    .option('--json', 'for scripts: {ok, checks: [{name, status, detail, remedy}]}')
    .action(async (options: { store?: string; json?: true }) => {
      const operations = await context.operations();
      const checks = await operations.examine(placesOf(context, options.store));
      const ok = checks.every(({ status }) => status !== 'problem');
      if (options.json) printJson(context, { ok, checks });
      else print(context, describeChecks(checks));
      if (!ok) context.setExitCode(exitCodes.environment);
    });
}

export function describeChecks(checks: readonly Check[]): string {
  const marks = {
    ok: picocolors.green('ok     '),
    warning: picocolors.yellow('warning'),
    problem: picocolors.red('problem'),
  };
  const width = Math.max(...checks.map(({ name }) => name.length));
  const lines = checks.map(({ name, status, detail, remedy }) => {
    const line = `${marks[status]}  ${name.padEnd(width)}  ${escapeForTerminal(detail)}`;
    return remedy && status !== 'ok' ? `${line}\n${' '.repeat(11 + width)}-> ${escapeForTerminal(remedy)}` : line;
  });
  const problems = checks.filter(({ status }) => status === 'problem').length;
  const verdict = problems === 0 ? 'Ready.' : `${problems} ${problems === 1 ? 'problem' : 'problems'} to mend first.`;
  return [...lines, '', verdict].join('\n');
}
