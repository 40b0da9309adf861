/** `cada audit`: who decided and changed what about a run, and whether the log is as it was written. */
import type { Command } from 'commander';
import type { AuditLog } from '../../infra/artifacts/audit.ts';
import { escapeForTerminal } from '../../infra/logging/escape.ts';
import { placesOf, print, printJson, remark } from '../context.ts';
import type { CommandContext } from '../context.ts';
import { exitCodes } from '../exitCodes.ts';
import { runArgument, storeOption } from '../runArguments.ts';

interface AuditFlags {
  store?: string;
  verify?: true;
  json?: true;
}

export function addAuditCommand(program: Command, context: CommandContext): void {
  program
    .command('audit')
    .description(
      'Prints the audit log of a run: who decided or changed what, when and why. Checks that no entry was altered, removed or inserted since; exit code 1 where one was.',
    )
    .argument(...runArgument)
    .option('--verify', 'only check the log')
    .option('--json', 'for scripts')
    .option(...storeOption)
    .action(async (named: string | undefined, flags: AuditFlags) => {
      const [{ runIdIn }, { openStore }, { readAudit }] = await Promise.all([
        import('../runs.ts'),
        import('../../infra/artifacts/artifactStore.ts'),
        import('../../infra/artifacts/audit.ts'),
      ]);
      const { storeUri } = placesOf(context, flags.store);
      const runId = await runIdIn(storeUri, named);
      const log = await readAudit(await openStore(storeUri), runId);
      const { entries, broken, head } = log;
      if (flags.json) {
        const told = flags.verify ? {} : { entries };
        printJson(context, { runId, ...told, whole: !broken, broken: broken ?? null, head: head ?? null });
      } else {
        if (!flags.verify) print(context, describeLog(log));
        if (!broken) print(context, escapeForTerminal(verdict(runId, log)));
      }
      if (!broken) return;
      remark(context, escapeForTerminal(`The log of run ${runId} is broken: entry ${broken.number} ${broken.fault}.`));
      context.setExitCode(exitCodes.failure);
    });
}

function verdict(runId: string, { entries, head }: AuditLog): string {
  if (entries.length === 0) return `Run ${runId} has no audit log: nothing was told yet, or it is of an older version.`;
  return `Run ${runId}: ${entries.length} entries, the chain is whole; its head is ${head?.sha256 ?? 'not written yet'}.`;
}

/** What updates and models carried is untrusted. */
function describeLog({ entries }: AuditLog): string {
  return entries
    .map(({ number, at, who, what, why, details }) =>
      [
        `${number}  ${at.slice(0, 19).replace('T', ' ')}  ${who}: ${what}${why ? ` (${why})` : ''}`,
        ...Object.entries(details).map(([name, value]) => `   ${name}: ${textOf(value)}`),
      ]
        .map((line) => escapeForTerminal(line.replaceAll('\n', ' ')))
        .join('\n'),
    )
    .join('\n');
}

const textOf = (value: unknown): string => (typeof value === 'string' ? value : JSON.stringify(value));
