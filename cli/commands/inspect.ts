/** Commands that read what the store knows of runs: `status`, `runs`, `report`, `chains`. They need no server. */
import { spawn } from 'node:child_process';
import { InvalidArgumentError } from 'commander';
import type { Command } from 'commander';
import { placesOf, print, printJson, remark } from '../context.ts';
import type { CommandContext } from '../context.ts';
import { badInput } from '../errors.ts';
import type { ChainView } from '../operations.ts';
import { formatFigure } from '../progress/wording.ts';
import type { CourseChange, RunRecord } from '../../activities/types.ts';
import { escapeForTerminal } from '../../infra/logging/escape.ts';
import { indent, plainTable } from '../terminal.ts';
import { runArgument, storeOption } from '../runArguments.ts';

interface StoreOptions {
  store?: string;
  json?: true;
}

export function addStatusCommand(program: Command, context: CommandContext): void {
  program
    .command('status')
    .description('What a run is doing or has reached.')
    .argument(...runArgument)
    .option('--json', 'for scripts')
    .option(...storeOption)
    .action(async (named: string | undefined, options: StoreOptions) => {
      const [{ findRun }, { statusOf, stateForScripts, describeStatus, deliveredBefore }, { releaseOf }] =
        await Promise.all([import('../runs.ts'), import('../status.ts'), import('../operate/release.ts')]);
      const places = placesOf(context, options.store);
      const { store, runId, record } = await findRun(places.storeUri, named);
      // An ended run has no server to ask.
      const ended = ['done', 'stopped', 'cancelled'].includes(record.state);
      const operations = ended ? undefined : await context.operations();
      const live = await operations?.progress({ runId, ...places, signal: context.signal });
      const status = statusOf(record, deliveredBefore(places.home, runId));
      const release = await releaseOf(store, record);
      if (release) status.release = release;
      // The record is written at the beginning of each stage; a live server knows better.
      if (live)
        Object.assign(status, {
          iteration: live.iteration,
          ...(live.state === 'stopped' ? {} : { state: stateForScripts(live.state) }),
        });
      if (options.json) printJson(context, status);
      else {
        const { listCourse } = await import('../../infra/artifacts/runs.ts');
        print(context, describeStatus(record, status, live, await listCourse<CourseChange>(store, runId)));
      }
    });
}

export function addRunsCommand(program: Command, context: CommandContext): void {
  program
    .command('runs')
    .description('Lists the runs of the store, the latest first.')
    .option('--json', 'for scripts')
    .option(...storeOption)
    .action(async (options: StoreOptions) => {
      const [{ openStore }, { listRuns, loadRun }] = await Promise.all([
        import('../../infra/artifacts/artifactStore.ts'),
        import('../../infra/artifacts/runs.ts'),
      ]);
      const store = await openStore(placesOf(context, options.store).storeUri);
      const ids = await listRuns(store);
      const saved = await Promise.all(ids.map((id) => loadRun<RunRecord>(store, id)));
      const runs = saved
        .filter((run) => run !== undefined)
        .toSorted((a, b) => b.savedAt.localeCompare(a.savedAt))
        .map(({ runId, savedAt, record }) => ({
          runId,
          savedAt,
          state: record.state,
          stage: record.stage,
          iteration: record.iteration,
          iterations: record.iterations,
        }));
      if (options.json) return printJson(context, runs);
      if (runs.length === 0) return print(context, `There is no run in ${store.uri} yet. \`cada train\` starts one.`);
      const rows = runs.map((run) => [
        run.runId,
        run.state,
        run.stage,
        `${run.iteration}/${run.iterations}`,
        run.savedAt.slice(0, 16).replace('T', ' '),
      ]);
      print(context, plainTable(['run', 'state', 'stage', 'iteration', 'changed (UTC)'], rows));
    });
}

export function addReportCommand(program: Command, context: CommandContext): void {
  program
    .command('report')
    .description("Writes a run's report (one HTML file) and its exported model into the run's folder and says where.")
    .argument(...runArgument)
    .option('--open', 'open it in the browser')
    .option('--json', 'figures, headlines and iterations instead, for scripts')
    .option(...storeOption)
    .action(async (named: string | undefined, options: StoreOptions & { open?: true }) => {
      const { findRun } = await import('../runs.ts');
      const places = placesOf(context, options.store);
      const found = await findRun(places.storeUri, named);
      const operations = await context.operations();
      if (options.json) {
        const summary = await operations.summarise({ runId: found.runId, ...places });
        return printJson(context, { runId: found.runId, state: found.record.state, ...summary });
      }
      const { report, adapter, merged } = await operations.deliver({ runId: found.runId, ...places });
      if (!report)
        throw badInput(
          `Run ${found.runId} has no report yet: it is at stage "${found.record.stage}".`,
          'It is written when the run ends.',
        );
      print(context, report);
      if (adapter) remark(context, `adapter: ${adapter}`);
      if (merged) remark(context, `merged model: ${merged}`);
      if (options.open) openInBrowser(report, context);
    });
}

export function addChainsCommand(program: Command, context: CommandContext): void {
  program
    .command('chains')
    .description('Shows the chains of one iteration with their rewards.')
    .argument(...runArgument)
    .requiredOption(
      '--iteration <n>',
      'number of the iteration, or warmStart, before, afterWarmStart, after',
      iterationName,
    )
    .option('--kind <kind>', 'only requests of this kind: harmful, plain, look-alike')
    .option('--limit <n>', 'at most so many', wholeNumber, 8)
    .option('--json', 'all fields, for scripts')
    .option(...storeOption)
    .action(
      async (
        named: string | undefined,
        options: StoreOptions & { iteration: number | string; kind?: string; limit: number },
      ) => {
        const [{ findRun }, { requestKinds }] = await Promise.all([
          import('../runs.ts'),
          import('../../alignment/library/library.ts'),
        ]);
        const { kind, limit, iteration } = options;
        if (kind !== undefined && !requestKinds.some((known) => known === kind))
          throw badInput(`"${kind}" is no kind of request.`, `Kinds: ${requestKinds.join(', ')}.`);
        const places = placesOf(context, options.store);
        const { runId } = await findRun(places.storeUri, named);
        const operations = await context.operations();
        const selection = { of: iteration, limit, ...(kind === undefined ? {} : { kind }) };
        const chains = await operations.chains({ runId, ...places, ...selection });
        if (options.json) return printJson(context, chains);
        for (const chain of chains) print(context, describeChain(chain));
        remark(context, `${chains.length} chains shown; more with --limit.`);
      },
    );
}

function describeChain(chain: ChainView): string {
  const reward = chain.reward === null ? 'unscorable' : formatFigure(chain.reward);
  const parts = Object.entries(chain.rewardParts).map(([part, value]) => `${part} ${formatFigure(value)}`);
  const verdict = chain.refused === undefined ? 'no verdict' : chain.refused ? 'refused' : 'not refused';
  return [
    escapeForTerminal(
      `${chain.id}  ${chain.kind}  reward ${reward}  (${[...parts, verdict, chain.finish].join(', ')})`,
    ),
    indent(escapeForTerminal(chain.request), '  > '),
    `${indent(escapeForTerminal(chain.chain.trim()))}\n`,
  ].join('\n');
}

const namedSets = ['warmStart', 'before', 'afterWarmStart', 'after'];

function iterationName(text: string): number | string {
  if (/^\d+$/.test(text)) return Number(text);
  if (namedSets.includes(text)) return text;
  throw new InvalidArgumentError(`A number is needed, or one of ${namedSets.join(', ')}.`);
}

function wholeNumber(text: string): number {
  if (!/^\d+$/.test(text)) throw new InvalidArgumentError('A whole number is needed, 0 or more.');
  return Number(text);
}

function openInBrowser(file: string, context: CommandContext): void {
  const opener = process.platform === 'darwin' ? 'open' : 'xdg-open';
  const child = spawn(opener, [file], { stdio: 'ignore', detached: true });
  child.on('error', () => remark(context, `No browser could be opened (${opener}): open the file yourself.`));
  child.unref();
}
