/** Commands that deal with a run's server or serve one: `watch`, `worker`, `ui`, and the operator's `pause`, `resume`, `retry`, `stop`, `cancel`. */
import { Option } from 'commander';
import type { Command } from 'commander';
import { commandName } from '../commandName.ts';
import { placesOf, print, remark } from '../context.ts';
import type { CommandContext } from '../context.ts';
import { badInput } from '../errors.ts';
import { exitCodes } from '../exitCodes.ts';
import type { RunRecord } from '../../activities/types.ts';
import { workerKinds } from '../operations.ts';
import type { ControlVerb, WorkerKind } from '../operations.ts';
import { byOption, operatorName } from '../operatorName.ts';
import { approvalHint } from '../release.ts';
import { openProgressDisplay } from '../progress/display.ts';
import { runArgument, storeOption } from '../runArguments.ts';
import { escapeForTerminal } from '../../infra/logging/escape.ts';

export function addWatchCommand(program: Command, context: CommandContext): void {
  program
    .command('watch')
    .description('Follows a run until it ends. Ctrl-C ends the watching, not the run.')
    .argument(...runArgument)
    .option(...storeOption)
    .action(async (named: string | undefined, options: { store?: string }) => {
      const { record, ...request } = await requestFor(named, options, context);
      if (isOver(record)) {
        print(
          context,
          `Run ${request.runId} is ${record.state}. To see what it has reached: cada status ${request.runId}`,
        );
        return record.state === 'failed' ? context.setExitCode(exitCodes.failure) : undefined;
      }
      const display = openProgressDisplay(context.stdout);
      const command = commandName(context.env, process.argv[1], process.cwd());
      let hinted = false;
      context.signal.addEventListener('abort', () => display.close(), { once: true });
      try {
        const operations = await context.operations();
        const outcome = await operations.watch(request, {
          snapshot: (snapshot) => {
            const awaits = snapshot.state === 'awaiting approval';
            if (awaits && !hinted)
              display.line(escapeForTerminal(approvalHint(command, request.runId, snapshot.cause, options.store)));
            hinted = awaits;
            display.update(snapshot);
          },
          line: (text) => display.line(escapeForTerminal(text)),
          uiAddress: (address) => display.showUiAddress(address),
        });
        if (outcome.state === 'failed') context.setExitCode(exitCodes.failure);
        if (outcome.state === 'waiting') context.setExitCode(exitCodes.waiting);
      } catch (error) {
        if (!context.signal.aborted) throw error;
      } finally {
        display.close();
      }
    });
}

export function addWorkerCommand(program: Command, context: CommandContext): void {
  program
    .command('worker')
    .description(
      'Joins a cluster: serves one task queue of an external Temporal server (TEMPORAL_ADDRESS) until stopped.',
    )
    .addOption(new Option('--kind <kind>', 'which queue').choices(workerKinds).makeOptionMandatory())
    .option(...storeOption)
    .action(async ({ kind, store }: { kind: WorkerKind; store?: string }) => {
      const operations = await context.operations();
      await operations.work({ kind, ...placesOf(context, store), signal: context.signal });
    });
}

export function addUiCommand(program: Command, context: CommandContext): void {
  program
    .command('ui')
    .description("Serves the Temporal UI over a finished embedded run's history until stopped.")
    .argument(...runArgument)
    .option(...storeOption)
    .action(async (named: string | undefined, options: { store?: string }) => {
      const request = await requestFor(named, options, context);
      const operations = await context.operations();
      await operations.serveUi(request, (address) => {
        print(context, `Temporal UI of ${request.runId}: ${address}`);
        remark(context, 'Ctrl-C ends it.');
      });
    });
}

const verbs: [name: string, verb: ControlVerb, description: string][] = [
  ['pause', 'pause', 'Lets a run finish its current stage, then hold.'],
  ['resume', 'resume', 'Lets a paused run go on.'],
  [
    'retry',
    'retryStage',
    'Runs the stage again that a waiting run failed at. Of a run at work: gives what has failed and waits for its next attempt that attempt now.',
  ],
  [
    'stop',
    'stopAfterIteration',
    'Ends a run after the current iteration: it evaluates, exports and reports what it has. A run that waits is ended where it is.',
  ],
  [
    'cancel',
    'cancelRun',
    'Ends a run where it is: what is at work is given up, what is finished stays. The same configuration goes on from it.',
  ],
];

/** The operator's commands: updates to a run on a server that is up. */
export function addControlCommands(program: Command, context: CommandContext): void {
  for (const [name, verb, description] of verbs) {
    program
      .command(name)
      .description(description)
      .argument(...runArgument)
      .option(...byOption)
      .option(...storeOption)
      .action(async (named: string | undefined, options: { store?: string; by?: string }) => {
        const by = operatorName(context, options.by);
        const { record, ...request } = await requestFor(named, options, context);
        if (isOver(record)) throw badInput(`Run ${request.runId} is ${record.state}: there is nothing to ${name}.`);
        const operations = await context.operations();
        print(context, escapeForTerminal(await operations.control({ ...request, by }, verb)));
      });
  }
}

export async function requestFor(named: string | undefined, options: { store?: string }, context: CommandContext) {
  const { findRun } = await import('../runs.ts');
  const places = placesOf(context, options.store);
  const { runId, record } = await findRun(places.storeUri, named);
  return { runId, record, ...places, signal: context.signal };
}

/** Its workflow has ended. */
export const isOver = ({ state }: RunRecord): boolean => ['done', 'stopped', 'failed', 'cancelled'].includes(state);
