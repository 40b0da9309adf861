/** `cada train`: starts a run, or goes on with it; shows how it proceeds; ends with where the results are. */
import { existsSync } from 'node:fs';
import type { Command } from 'commander';
import type { Configuration } from '../../alignment/configuration/schema.ts';
import { commandName, repeatedCommand } from '../commandName.ts';
import { placesOf, print, remark } from '../context.ts';
import type { CommandContext } from '../context.ts';
import { badInput } from '../errors.ts';
import { exitCodes } from '../exitCodes.ts';
import type { RunReporter, TrainOutcome } from '../operations.ts';
import { shippedConfiguration } from '../packageRoot.ts';
import { estimateRun } from '../../alignment/plan/estimateRun.ts';
import { describePlan } from '../plan.ts';
import { byOption, operatorName } from '../operatorName.ts';
import { approvalHint } from '../release.ts';
import { openProgressDisplay } from '../progress/display.ts';
import { createRunTimeLeft } from '../progress/runTimeLeft.ts';
import { firstLine } from '../progress/wording.ts';
import { detachOption, waitOption } from '../runArguments.ts';
import { escapeForTerminal } from '../../infra/logging/escape.ts';

interface TrainOptions {
  resume?: true;
  fresh?: true;
  detach?: true;
  wait?: true;
  plan?: true;
  store?: string;
  by?: string;
}

export function addTrainCommand(program: Command, context: CommandContext): void {
  program
    .command('train')
    .summary('run the alignment that a configuration describes')
    .description(
      'Runs the alignment that a configuration describes: warm start, CADA iterations, evaluations, export, report.\n' +
        'The same configuration is the same run: what has been done is not done again. Ctrl-C stops; the same command goes on.',
    )
    .argument('[config]', 'configuration file (default: ./cada.yaml if there is one, else the shipped demo)')
    .option('--resume', 'only go on with a run that was started before (without a file: the latest)')
    .option('--fresh', 'start another run of the same configuration')
    .option(...detachOption)
    .option(...waitOption)
    .option('--plan', 'show stages, tokens, time, disk and memory, and start nothing')
    .option(...byOption)
    .option(
      '--store <address>',
      'artifact store: a folder or s3://bucket/prefix (default: CADA_STORE, else in CADA_HOME)',
    )
    .action((file: string | undefined, _: TrainOptions, command: Command) =>
      train(file, command.optsWithGlobals<TrainOptions & { verbose?: true }>(), context),
    );
}

async function train(
  file: string | undefined,
  options: TrainOptions & { verbose?: true },
  context: CommandContext,
): Promise<void> {
  if (options.resume && options.fresh) throw badInput('--resume and --fresh exclude each other: leave one out.');
  if (options.detach && options.wait) throw badInput('--detach and --wait exclude each other: leave one out.');
  const places = placesOf(context, options.store);
  const { configuration, runId } = await chooseRun(file, options, places.storeUri, context);
  if (options.plan) return print(context, describePlan(estimateRun(configuration), runId));
  const command = commandName(context.env, process.argv[1], process.cwd());
  const goOn = goOnCommand(command, file, options, context.env);
  await followTraining({ configuration, runId, ...places, command, goOn }, options, context);
}

/** Starts or goes on with a run, shows how it proceeds, and ends with what it has come to. */
export async function followTraining(
  { configuration, ...told }: ToldRun & { configuration: Configuration },
  options: Pick<TrainOptions, 'detach' | 'wait' | 'by' | 'store'> & { verbose?: true },
  context: CommandContext,
): Promise<void> {
  const { runId, home, storeUri, command } = told;
  const by = operatorName(context, options.by);
  const estimate = estimateRun(configuration);
  const startedAt = performance.now();
  const secondsSince = (): number => (performance.now() - startedAt) / 1000;
  const display = openProgressDisplay(context.stdout);
  context.signal.addEventListener('abort', () => display.close(), { once: true });
  const timeLeft = createRunTimeLeft(estimate.stages);
  let hinted = false;
  const reporter: RunReporter = {
    snapshot: (snapshot) => {
      const awaits = snapshot.state === 'awaiting approval';
      if (awaits && !hinted)
        display.line(escapeForTerminal(approvalHint(command, runId, snapshot.cause, options.store)));
      hinted = awaits;
      const secondsLeft = timeLeft(snapshot, secondsSince());
      display.update({ ...snapshot, ...(secondsLeft === undefined ? {} : { secondsLeft }) });
    },
    line: (text, importance) => {
      if (importance !== 'routine' || options.verbose) display.line(escapeForTerminal(text));
    },
    uiAddress: (address) => display.showUiAddress(address),
  };
  reporter.line(`run ${runId}`);
  let outcome: TrainOutcome;
  try {
    const { detach = false, wait = false } = options;
    const operations = await context.operations();
    outcome = await operations.train(
      { configuration, runId, home, storeUri, detach, wait, by, signal: context.signal },
      reporter,
    );
  } catch (error) {
    if (!context.signal.aborted) throw error;
    outcome = { state: 'paused' };
  } finally {
    display.close();
  }
  if (context.signal.aborted) {
    print(context, `Stopped. To go on: ${told.goOn}`);
    return context.setExitCode(exitCodes.interrupted);
  }
  if (options.detach) {
    return print(context, `Run ${runId} goes on without this terminal. To follow it: ${command} watch ${runId}`);
  }
  await tellOutcome(outcome, told, secondsSince(), context);
}

/** What the closing words speak of. */
export interface ToldRun {
  runId: string;
  home: string;
  storeUri: string;
  /** How the reader calls this program. */
  command: string;
  /** The whole command that goes on with the run. */
  goOn: string;
}

function goOnCommand(command: string, file: string | undefined, options: TrainOptions, env: NodeJS.ProcessEnv): string {
  const store = options.store ? ['--store', options.store] : [];
  // The same command would start yet another run; this one is the latest.
  if (options.fresh) return [command, 'train', '--resume', ...store].join(' ');
  return repeatedCommand(command, ['train', ...(file ? [file] : []), ...store], env);
}

/** The configuration and its run id; of a run in the store where `--resume` names no file. */
async function chooseRun(
  file: string | undefined,
  options: TrainOptions,
  storeUri: string,
  context: CommandContext,
): Promise<{ configuration: Configuration; runId: string }> {
  const [{ readConfiguration }, { runIdOf }] = await Promise.all([
    import('../../infra/configuration/readConfiguration.ts'),
    import('../../infra/configuration/runId.ts'),
  ]);
  if (options.resume && file === undefined) {
    const { findRun, readJsonArtifact } = await import('../runs.ts');
    const found = await findRun(storeUri);
    return {
      configuration: await readJsonArtifact<Configuration>(found.store, found.record.configuration),
      runId: found.runId,
    };
  }
  const chosen = file ?? (existsSync('cada.yaml') ? 'cada.yaml' : shippedConfiguration('demo'));
  if (file === undefined) remark(context, `Configuration: ${chosen}`);
  const configuration = await withPinnedMarks(await readConfiguration(chosen), storeUri, context);
  const runId = runIdOf(configuration);
  if (!options.resume && !options.fresh) return { configuration, runId };

  const [{ openStore }, { listRuns }] = await Promise.all([
    import('../../infra/artifacts/artifactStore.ts'),
    import('../../infra/artifacts/runs.ts'),
  ]);
  const store = await openStore(storeUri);
  const known = new Set(await listRuns(store));
  if (options.resume) {
    if (known.has(runId)) return { configuration, runId };
    const remedy =
      'Start it without --resume. (A changed configuration is another run; `cada runs` lists those there are.)';
    throw badInput(`There is no run ${runId} in ${store.uri} to go on with.`, remedy);
  }
  let number = 2;
  while (known.has(`${runId}-${number}`)) number++;
  return { configuration, runId: known.has(runId) ? `${runId}-${number}` : runId };
}

/** The marks that count now are part of what a run is: those made later make another run. */
export async function withPinnedMarks(
  configuration: Configuration,
  storeUri: string,
  context: CommandContext,
): Promise<Configuration> {
  if (!configuration.warmStart.marks && !configuration.iteration.marks) return configuration;
  const { pinMarks } = await import('../operate/pinMarks.ts');
  return pinMarks(configuration, storeUri, (line) => remark(context, escapeForTerminal(line)));
}

async function tellOutcome(
  { state, cause, foundDone }: TrainOutcome,
  { runId, home, storeUri, command, goOn }: ToldRun,
  elapsedSeconds: number,
  context: CommandContext,
): Promise<void> {
  const because = cause ? `: ${escapeForTerminal(firstLine(cause))}` : '.';
  if (state === 'waiting') {
    print(context, `The run waits for its operator${because}\nMend the cause, then go on with: ${goOn}`);
    print(
      context,
      `To stay while it waits, add --wait: then \`${command} retry\` or \`${command} stop\` from another terminal.`,
    );
    return context.setExitCode(exitCodes.waiting);
  }
  if (state === 'cancelled') {
    remark(context, `The run was cancelled; what it had finished stays. To go on from there: ${goOn}`);
    return context.setExitCode(exitCodes.failure);
  }
  if (state === 'failed') {
    remark(context, `The run failed${because}\nTo see more: ${command} status ${runId}`);
    return context.setExitCode(exitCodes.failure);
  }
  const operations = await context.operations();
  const [summary, files] = await Promise.all([
    operations.summarise({ runId, storeUri, home }),
    operations.deliver({ runId, storeUri, home }),
  ]);
  const { describeSummary } = await import('../summary.ts');
  const told = { runId, command, elapsedSeconds, foundDone: foundDone === true, stopped: state === 'stopped' };
  print(context, `\n${describeSummary(summary, files, told)}`);
  // For scripts: what ends without a promoted policy is no success.
  if (summary.release && summary.release.status !== 'promoted') context.setExitCode(exitCodes.failure);
}
