/** `cada train`: starts a run, or goes on with it; shows how it proceeds; ends with where the results are. */
import { existsSync } from 'node:fs';
import type { Command } from 'commander';
import prettyBytes from 'pretty-bytes';
import type { Configuration } from '../../alignment/configuration/schema.ts';
import { placesOf, print, remark } from '../context.ts';
import type { CommandContext } from '../context.ts';
import { badInput } from '../errors.ts';
import { exitCodes } from '../exitCodes.ts';
import type { RunReporter, TrainOutcome } from '../operations.ts';
import { shippedConfiguration } from '../packageRoot.ts';
import { openProgressDisplay } from '../progress/display.ts';
import { duration } from '../progress/wording.ts';
import { escapeForTerminal, plainTable } from '../terminal.ts';

interface TrainOptions {
  resume?: true;
  fresh?: true;
  detach?: true;
  wait?: true;
  plan?: true;
  store?: string;
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
    .option('--detach', 'hand the run to an external Temporal server and its workers, and return')
    .option('--wait', 'stay when the run waits for its operator')
    .option('--plan', 'show stages, tokens, time, disk and memory, and start nothing')
    .option(
      '--store <address>',
      'artifact store: a folder or s3://bucket/prefix (default: CADA_STORE, else in CADA_HOME)',
    )
    .action((file: string | undefined, options: TrainOptions) => train(file, options, context));
}

async function train(file: string | undefined, options: TrainOptions, context: CommandContext): Promise<void> {
  if (options.resume && options.fresh) throw badInput('--resume and --fresh exclude each other: leave one out.');
  if (options.detach && options.wait) throw badInput('--detach and --wait exclude each other: leave one out.');
  const places = placesOf(context, options.store);
  const { configuration, runId } = await chooseRun(file, options, places.storeUri, context);
  if (options.plan) return showPlan(configuration, runId, context);

  const display = openProgressDisplay(context.stdout);
  const reporter: RunReporter = {
    snapshot: (snapshot) => display.update(snapshot),
    line: (text) => display.line(escapeForTerminal(text)),
    uiAddress: (address) => display.showUiAddress(address),
  };
  reporter.line(`run ${runId}`);
  const goOn = ['cada train', ...(file ? [file] : []), ...(options.store ? ['--store', options.store] : [])].join(' ');
  let outcome: TrainOutcome;
  try {
    const { detach = false, wait = false } = options;
    const operations = await context.operations();
    outcome = await operations.train(
      { configuration, runId, ...places, detach, wait, signal: context.signal },
      reporter,
    );
  } catch (error) {
    if (!context.signal.aborted) throw error;
    outcome = { state: 'paused' };
  } finally {
    display.close();
  }
  if (context.signal.aborted) {
    print(context, `Stopped. To go on: ${goOn}`);
    return context.setExitCode(exitCodes.interrupted);
  }
  if (options.detach) {
    return print(context, `Run ${runId} goes on without this terminal. To follow it: cada watch ${runId}`);
  }
  await tellOutcome(outcome, runId, places, goOn, context);
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
  const configuration = await readConfiguration(chosen);
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

async function showPlan(configuration: Configuration, runId: string, context: CommandContext): Promise<void> {
  const { estimateRun } = await import('../plan.ts');
  const { stages, seconds, diskBytes, memoryBytes } = estimateRun(configuration);
  const rows = stages.map((stage) => [
    stage.stage,
    String(stage.times),
    String(stage.chains),
    String(stage.generatedTokens),
    String(stage.trainedTokens),
    duration(stage.seconds),
  ]);
  print(context, `run ${runId}\n`);
  print(
    context,
    plainTable(['stage', 'times', 'chains', 'tokens written', 'tokens trained', 'time'], rows, [1, 2, 3, 4, 5]),
  );
  print(
    context,
    `\nabout ${duration(seconds)}, ${prettyBytes(diskBytes)} of disk, ${prettyBytes(memoryBytes)} of memory` +
      '\n(at most as many tokens as stated; time and memory as measured for the default model on 2 cores)',
  );
}

async function tellOutcome(
  { state, cause }: TrainOutcome,
  runId: string,
  { home, storeUri }: { home: string; storeUri: string },
  goOn: string,
  context: CommandContext,
): Promise<void> {
  const because = cause ? `: ${escapeForTerminal(cause)}` : '.';
  if (state === 'waiting') {
    print(context, `The run waits for its operator${because}\nMend the cause, then go on with: ${goOn}`);
    return context.setExitCode(exitCodes.waiting);
  }
  if (state === 'failed') {
    remark(context, `The run failed${because}\nTo see more: cada status ${runId}`);
    return context.setExitCode(exitCodes.failure);
  }
  const { findRun } = await import('../runs.ts');
  const { record } = await findRun(storeUri, runId);
  const operations = await context.operations();
  const { report, adapter, merged } = await operations.deliver({ runId, storeUri, home });
  if (record.policy?.adapter) print(context, `adapter  sha256 ${record.policy.adapter.sha256}`);
  if (adapter) print(context, `         ${adapter}`);
  if (merged) print(context, `merged   ${merged}`);
  if (report) print(context, `report   ${report}`);
}
