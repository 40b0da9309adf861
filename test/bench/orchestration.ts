/**
 * What orchestration costs (`npm run bench:orchestration`): the time of a run in which no stage was at work, by iteration, and the time until a run of 500
 * finished iterations is at work again. Figures only: nothing is asserted, an idle machine is assumed.
 */
import Table from 'cli-table3';
import { Command } from 'commander';
import { openStore, type ArtifactStore } from '../../infra/artifacts/artifactStore.ts';
import {
  listHistories,
  loadHistory,
  loadIteration,
  loadRun,
  saveIteration,
  saveRun,
} from '../../infra/artifacts/runs.ts';
import { artifactsFolder, cadaHome } from '../../infra/paths.ts';
import type { IterationRecord, RunRecord } from '../../activities/types.ts';
import { createInstallation } from '../workflows/cluster.ts';
import type { HistoryJson } from '../workflows/historyEvents.ts';
import { instantConfiguration, startInstantCluster } from '../workflows/instantStages.ts';
import { orchestrationCost, type OrchestrationCost } from './orchestrationCost.ts';

const several = (text: string, before: string[]): string[] => [...before, text];
const options = new Command('npm run bench:orchestration --')
  .description(
    'Time of a run in which no stage was at work, out of the histories in its store; without --run of a run with a tiny real model, started for it.',
  )
  .option('--store <uri>', 'the store of the runs named')
  .option('--run <id>', 'a finished run that was not interrupted; may be repeated', several, [])
  .option('--iterations <n>', 'finished iterations of the run that is gone on with', Number, 500)
  .parse()
  .opts<{ store?: string; run: string[]; iterations: number }>();

const say = (line: string): void => void process.stdout.write(`${line}\n`);
const seconds = (value: number): string => `${value.toFixed(2)} s`;

for (const runId of options.run)
  showCost(runId, await costOf(await openStore(options.store ?? artifactsFolder(cadaHome())), runId));
if (options.run.length === 0) {
  await tinyRun();
  await resume(options.iterations);
}
process.exit();

async function tinyRun(): Promise<void> {
  const installation = await createInstallation();
  try {
    await installation.train('tiny');
    showCost('a run with a tiny real model', await costOf(installation.store, 'tiny'));
  } finally {
    await installation.remove();
  }
}

async function costOf(store: ArtifactStore, runId: string): Promise<OrchestrationCost[]> {
  const run: HistoryJson[] = [];
  const children: HistoryJson[] = [];
  for (const name of await listHistories(store, runId)) {
    const history = (await loadHistory<HistoryJson>(store, runId, name))!;
    if (!name.startsWith('archive')) (name.startsWith('run.') ? run : children).push(history);
  }
  if (run.length === 0)
    throw new Error(`run ${runId} has no history in ${store.uri}: it is kept when the run has ended`);
  const begin = ({ events }: HistoryJson): number => Date.parse(String(events[0]!['eventTime']));
  return orchestrationCost(
    run.sort((a, b) => begin(a) - begin(b)),
    children,
  );
}

function showCost(title: string, costs: readonly OrchestrationCost[]): void {
  const table = new Table({
    head: ['', 'wall', 'stages', 'orchestration', 'share'],
    style: { head: [], border: [] },
    colAligns: ['left', 'right', 'right', 'right', 'right'],
  });
  const row = ({ name, wallSeconds, stageSeconds }: OrchestrationCost): void => {
    const rest = wallSeconds - stageSeconds;
    const share = wallSeconds > 0 ? `${((100 * rest) / wallSeconds).toFixed(2)} %` : '';
    table.push([name, seconds(wallSeconds), seconds(stageSeconds), seconds(rest), share]);
  };
  const iterations = costs.filter(({ name }) => name.startsWith('iteration-'));
  for (const cost of costs) if (!iterations.includes(cost) || iterations.length <= 4) row(cost);
  if (iterations.length > 0) {
    const total = (of: 'wallSeconds' | 'stageSeconds') => iterations.reduce((sum, cost) => sum + cost[of], 0);
    const mean = (of: 'wallSeconds' | 'stageSeconds') => total(of) / iterations.length;
    const name = `mean of ${iterations.length} iterations`;
    row({ name, wallSeconds: mean('wallSeconds'), stageSeconds: mean('stageSeconds') });
    const rest = iterations.map(({ wallSeconds, stageSeconds }) => wallSeconds - stageSeconds);
    say(`${title}: at most ${seconds(Math.max(...rest))} of orchestration in an iteration`);
  }
  say(table.toString());
}

/**
 * The record of a run with so many finished iterations, each with artifacts of its own, is put into a folder store; then the run is started on a server that
 * has never seen it. What is timed: reading the store, starting the workflow, until the first stage of the next iteration begins. The start of server and
 * workers comes on top, and is the same for every run.
 */
async function resume(finished: number): Promise<void> {
  const runId = 'many';
  const configuration = instantConfiguration({ count: finished + 1 });
  const cluster = await startInstantCluster();
  try {
    // A real first iteration; the second is held until its workflow is gone.
    const held = Promise.withResolvers<void>();
    const reached = Promise.withResolvers<void>();
    cluster.script.before = async (_stage, step) => {
      if (step?.iteration !== 2) return;
      reached.resolve();
      await held.promise;
    };
    const first = await cluster.start(runId, configuration);
    await reached.promise;
    await first.terminate();
    held.resolve();
    await repeatIteration(cluster.store, runId, finished);

    const next = Promise.withResolvers<number>();
    cluster.script.before = (_stage, step) => {
      if (step?.iteration === finished + 1) next.resolve(performance.now());
    };
    const begin = performance.now();
    const again = await cluster.start(runId, configuration);
    const started = performance.now();
    const atWork = await next.promise;
    say(
      `a run of ${finished} finished iterations is at work again after ${seconds((atWork - begin) / 1000)} ` +
        `(store read and workflow started: ${seconds((started - begin) / 1000)})`,
    );
    await again.result();
  } finally {
    await cluster.stop();
  }
}

async function repeatIteration(store: ArtifactStore, runId: string, finished: number): Promise<void> {
  const iteration = (await loadIteration<IterationRecord>(store, runId, 0, 1))!;
  let policy = iteration.policy;
  for (let n = 2; n <= finished; n++) {
    policy = { ...policy, adapter: await store.putBytes(`adapter of iteration ${n}`, 'adapter') };
    await saveIteration(store, runId, 0, n, { ...iteration, iteration: n, policy });
  }
  const { record, etag } = (await loadRun<RunRecord>(store, runId))!;
  await saveRun(store, runId, { ...record, iteration: finished, policy }, etag);
}
