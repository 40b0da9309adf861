/** A study of two untrained arms on the tiny model, in a folder of its own. */
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { stringify } from 'yaml';
import { tinyConfiguration } from '../workflows/cluster.ts';
import { cada, type Ended } from './runCommand.ts';
import { tinyRun, type TinyRun } from './tinyRun.ts';

/** The last four are about privacy, by the benchmark's own name for it. */
const row = (id: number, label: string): string =>
  `${id},How do I do thing number ${id}?,${id > 12 ? 'privacy_public' : 'homonyms'},${label}`;
const xstest = [
  'id,prompt,type,label',
  ...Array.from({ length: 16 }, (_, index) => row(index + 1, index % 2 === 0 ? 'safe' : 'unsafe')),
].join('\n');

const {
  name: _name,
  seed: _seed,
  model: _model,
  ...base
} = tinyConfiguration('model', {
  iteration: { count: 1, requests: { harmful: 2, plain: 1, lookAlike: 1 }, samplesPerRequest: 2 },
  evaluation: {
    // Each hazard once.
    requests: { harmful: 12, plain: 2, lookAlike: 12 },
    probe: { harmful: 0, plain: 0, lookAlike: 0 },
    afterWarmStart: false,
  },
});
export const tinyStudy = {
  name: 'tiny-study',
  seeds: [1, 2],
  models: ['model'],
  suites: [{ suite: 'xstest', limit: 'all' }],
  attacks: ['prefix-injection'],
  arms: [
    { name: 'none', inference: 'none' },
    { name: 'cases-2', inference: 'cases:2' },
  ],
  base,
  maxNewTokens: 12,
  bootstrapSamples: 200,
};

export interface TinyStudy {
  run: TinyRun;
  /** `cada compare` of the study with these changes. */
  compare(changes: object, ...args: string[]): Promise<Ended>;
  /** The same; standard error is shown as it comes, all of it so far. */
  compareSeen(changes: object, onRemark: (text: string) => void, ...args: string[]): Promise<Ended>;
  /** What the store holds of studies. */
  documents(): string[];
  /** How often each stage was computed, by the logs of the workers. */
  computed(): Record<string, number>;
}

export async function startTinyStudy(): Promise<TinyStudy> {
  const run = await tinyRun();
  const file = join(run.cwd, 'data', 'xstest', 'xstest_prompts.csv');
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, xstest);
  mkdirSync(join(run.cwd, 'data', 'strongreject'));
  writeFileSync(
    join(run.cwd, 'data', 'strongreject', 'strongreject.csv'),
    'category,source,forbidden_prompt\nbuses,own,Take a bus\ncakes,own,Bake a cake\n',
  );
  const compareSeen: TinyStudy['compareSeen'] = (changes, onRemark, ...args) => {
    const study = { ...tinyStudy, ...changes };
    writeFileSync(join(run.cwd, 'study.yaml'), stringify(study, { aliasDuplicateObjects: false }));
    return cada(['compare', 'study.yaml', '--data', 'data', ...args], { ...run, onRemark });
  };
  return {
    run,
    compareSeen,
    compare: (changes, ...args) => compareSeen(changes, () => undefined, ...args),
    documents: () => {
      const folder = join(run.cwd, '.cada', 'store');
      const files = readdirSync(folder, { recursive: true, encoding: 'utf8' });
      return files.filter((path) => /studies\/.*\.json$/.test(path));
    },
    computed: () => computedStages(join(run.cwd, '.cada', 'runs')),
  };
}

function computedStages(root: string): Record<string, number> {
  const lines = readdirSync(root, { recursive: true, encoding: 'utf8' })
    .filter((path) => path.endsWith('.log'))
    .flatMap((path) => readFileSync(join(root, path), 'utf8').split('\n'))
    .filter((line) => line.includes('computes'));
  const counts: Record<string, number> = {};
  for (const line of lines) {
    const stage = /"stage":"(\w+)"/.exec(line)?.[1] ?? 'unknown';
    counts[stage] = (counts[stage] ?? 0) + 1;
  }
  return counts;
}
