/**
 * The bench (`npm run bench`): every promise about speed and memory, ours and the peers side by side in one run. docs/bench.md says what each row
 * means. Run it on an otherwise idle machine: nothing in the tests asserts a time.
 */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { arch, cpus, platform, tmpdir, totalmem } from 'node:os';
import { join } from 'node:path';
import { Command, InvalidArgumentError } from 'commander';
import prettyBytes from 'pretty-bytes';
import { cadaCache } from '../../infra/paths.ts';
import { Bench } from './bench.ts';
import { resultOf, resultTable } from './figures.ts';
import type { BenchResult } from './figures.ts';
import { benchModel } from './models.ts';
import { installPeers, Peers } from './peers/peers.ts';
import { rows } from './rows.ts';
import type { BenchRow } from './rows.ts';

interface Options {
  runs: number;
  threads: number;
  only: string[];
  out?: string;
  peers: boolean;
  installPeers?: true;
  list?: true;
}

const count = (text: string): number => {
  const value = Number(text);
  if (!Number.isInteger(value) || value < 1) throw new InvalidArgumentError('a whole number of 1 or more is needed.');
  return value;
};
const names = (text: string, before: string[]): string[] => [...before, ...text.split(',').filter(Boolean)];
const say = (line: string): void => void process.stderr.write(`${line}\n`);

const options = new Command('npm run bench --')
  .description('Measures speed and memory against the peers. Without peers installed their figures are left out.')
  .option('--runs <n>', 'runs of every measurement', count, 3)
  .option('--threads <n>', 'threads of ours and of the peers', count, 2)
  .option(
    '--only <names>',
    'only these rows: names or their beginnings, separated by commas; may be repeated',
    names,
    [],
  )
  .option('--out <file>', 'write the results as JSON')
  .option('--no-peers', 'leave the peers out')
  .option('--install-peers', 'install what is missing first: a Python venv (6 GB) and llama.cpp (85 MB), in the cache')
  .option('--list', 'name the rows and measure nothing')
  .parse()
  .opts<Options>();
await main(options);
process.exit();

async function main({
  runs,
  threads,
  only,
  out,
  peers: withPeers,
  installPeers: install,
  list,
}: Options): Promise<void> {
  const chosen = choose(only);
  if (list) return chosen.forEach(({ name, about }) => console.log(`${name.padEnd(20)} ${about}`));
  const folder = join(cadaCache(), 'bench');
  if (install) await installPeers(folder, say);
  const peers = new Peers(folder, threads, withPeers);
  const absent = new Set(chosen.flatMap(({ peer }) => (peer && withPeers && !peers.has(peer) ? [peer] : [])));
  if (absent.size > 0)
    say(
      `Not installed: ${[...absent].join(', ')}. Their figures are left out; \`npm run bench -- --install-peers\` installs them.`,
    );

  const machine = machineInWords(threads);
  const scratch = await mkdtemp(join(tmpdir(), 'cada-bench-'));
  const bench = new Bench({ runs, model: await benchModel(folder, threads), scratch, peers });
  const results: BenchResult[] = [];
  const tidyUp = async (): Promise<void> => {
    await bench.close();
    await rm(scratch, { recursive: true, force: true });
  };
  for (const signal of ['SIGINT', 'SIGTERM'] as const)
    process.once(signal, () => void tidyUp().finally(() => process.exit(130)));
  try {
    for (const row of chosen) {
      say(`${row.name}: ${row.about}`);
      results.push(resultOf(row, await measureRow(row, bench)));
      if (out)
        await writeFile(
          out,
          `${JSON.stringify(
            results.map((result) => ({ ...result, machine })),
            null,
            2,
          )}\n`,
        );
    }
  } finally {
    await tidyUp();
  }
  console.log(`\n${machine}; ${runs} ${runs === 1 ? 'run' : 'runs'}, medians\n${resultTable(results)}`);
}

/** A row that fails does not take the others with it; the command then ends with code 1. */
async function measureRow(row: BenchRow, bench: Bench): ReturnType<BenchRow['measure']> {
  try {
    return await row.measure(bench);
  } catch (error) {
    process.exitCode = 1;
    const message = error instanceof Error ? error.message : String(error);
    say(`${row.name} failed: ${message}`);
    return `failed: ${message.split('\n')[0]}`;
  }
}

/** Rows by name or the beginning of their names; all without any. */
function choose(only: readonly string[]): BenchRow[] {
  const unknown = only.filter((start) => !rows.some(({ name }) => name.startsWith(start)));
  if (unknown.length > 0) {
    say(`There is no row ${unknown.join(', ')}. Rows: ${rows.map(({ name }) => name).join(', ')}`);
    process.exit(2);
  }
  const exact = new Set(only.filter((start) => rows.some(({ name }) => name === start)));
  return rows.filter(
    ({ name }) =>
      only.length === 0 || only.some((start) => (exact.has(start) ? name === start : name.startsWith(start))),
  );
}

function machineInWords(threads: number): string {
  const processors = cpus();
  return `${platform()} ${arch()}, ${processors.length} x ${processors[0]?.model.trim() ?? 'unknown processor'}, ${prettyBytes(totalmem(), { binary: true })}, ${threads} threads, Node ${process.versions.node}`;
}
