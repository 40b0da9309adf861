/** What README and documentation say of results is what the committed results say, each with its interval. */
import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { wilsonInterval, type Interval } from '../../alignment/evaluation/intervals.ts';

/** `.05`, `1.00`, as tables of the documentation have them. */
const short = (value: number): string => value.toFixed(2).replace(/^0\./, '.');
const figure = (value: number, interval: Interval): string => `${short(value)} [${interval.map(short).join(', ')}]`;
const signed = (value: number): string => `${value < 0 ? '−' : '+'}${short(Math.abs(value))}`;

/** The cells of the rows of a Markdown file whose first cell begins so, in any table, without marks. */
function rowsOf(file: string, first: RegExp): string[][] {
  return readFileSync(file, 'utf8')
    .split('\n')
    .filter((line) => line.startsWith('|'))
    .map((line) =>
      line
        .split('|')
        .slice(1, -1)
        .map((cell) => cell.replaceAll(/[`*]/g, '').trim()),
    )
    .filter(([name]) => first.test(name!));
}

interface LongRun {
  evaluations: { name: string; figures: Record<string, number> }[];
  headlines: { id: string; value: number; interval: Interval }[];
}

describe('the longer run in the README', () => {
  const run = JSON.parse(readFileSync('docs/results/long.json', 'utf8')) as LongRun;
  const evaluations = ['before', 'warm start', 'after'].map((name) => run.evaluations.find((one) => one.name === name)!);
  /** Refusals of a kind: how many, of how many. */
  type Count = [count: number, n: number];
  const counted = (parts: [figure: string, n: number][], figures: Record<string, number>): Count => [
    parts.reduce((sum, [name, n]) => sum + Math.round(figures[name]! * n), 0),
    parts.reduce((sum, [, n]) => sum + n, 0),
  ];
  const harmful: [string, number][] = [['refusal/harmful', 48]];
  const lookAlike: [string, number][] = [['refusal/look-alike', 48]];
  const benchmarksHarmful: [string, number][] = [
    ['xstest/refusal/harmful', 200],
    ['jailbreakbench/refusal/harmful', 100],
  ];
  const benchmarksLookAlike: [string, number][] = [
    ['xstest/refusal/look-alike', 250],
    ['jailbreakbench/refusal/look-alike', 100],
  ];

  const shares: [row: RegExp, parts: [string, number][]][] = [
    [/^both parts present \(144\)/, [['format', 144]]],
    [/^refuses harmful requests \(48\)/, harmful],
    [/^refuses plain harmless requests \(48\)/, [['refusal/plain', 48]]],
    [/^refuses look-alike harmless requests \(48\)/, lookAlike],
    [/^benchmarks: refuses harmful prompts \(300\)/, benchmarksHarmful],
    [/^benchmarks: refuses harmless look-alikes \(350\)/, benchmarksLookAlike],
  ];
  test.for(shares)('%s: shares with Wilson’s intervals', ([row, parts]) => {
    const [cells] = rowsOf('README.md', row);
    expect(cells!.slice(1, 4)).toEqual(
      evaluations.map(({ figures }) => {
        const [count, n] = counted(parts, figures);
        return figure(count / n, wilsonInterval(count, n));
      }),
    );
  });

  /** Of two independent shares, from their Wilson intervals (Newcombe 1998, method 10). */
  function difference([one, n]: Count, [other, m]: Count): string {
    const [p, q] = [one / n, other / m];
    const [[low, high], [lowest, highest]] = [wilsonInterval(one, n), wilsonInterval(other, m)];
    const interval = [p - q - Math.hypot(p - low, highest - q), p - q + Math.hypot(high - p, q - lowest)];
    return `${signed(p - q)} [${interval.map(signed).join(', ')}]`;
  }
  test.for([
    [/^harmful minus look-alike$/, harmful, lookAlike],
    [/^benchmarks: harmful minus look-alike$/, benchmarksHarmful, benchmarksLookAlike],
  ] as const)('%s: differences with Newcombe’s intervals', ([row, one, other]) => {
    const [cells] = rowsOf('README.md', row);
    const told = evaluations.map(({ figures }) => difference(counted([...one], figures), counted([...other], figures)));
    expect(cells!.slice(1, 4)).toEqual(told);
  });

  test('what the iterations add is what the report’s headlines say', () => {
    const change = (row: RegExp): string => rowsOf('README.md', row)[0]!.at(-1)!;
    const headline = (id: string): string => {
      const { value, interval } = run.headlines.find((one) => one.id === id)!;
      return `${signed(value)} [${interval.map(signed).join(', ')}]`;
    };
    expect(change(/^harmful minus look-alike$/)).toBe(headline('gapLookAlikeOverWarmStart'));
    expect(change(/^benchmarks: harmful minus/)).toBe(headline('gapLookAlikeOverWarmStartOnBenchmarks'));
    expect(change(/^loss on the base model/)).toBe(headline('utilityOverWarmStart'));
  });
});

interface Study {
  figures: {
    arms: { arm: string; figures: Record<string, { value: number; interval: Interval }> }[];
    differences: { measure: string; from: string; to: string; value: number; interval: Interval }[];
  };
}

describe.each(['inference-short', 'smollm2'])('the study %s in docs/studies.md', (name) => {
  const { figures } = JSON.parse(readFileSync(`docs/results/${name}/study.json`, 'utf8')) as Study;
  const text = readFileSync('docs/studies.md', 'utf8');
  const measures = ['harmlessness', 'robustness/prefix-injection', 'over-refusal'];

  test('every row of an arm has the figures of its result', () => {
    let rows = 0;
    for (const { arm, figures: own } of figures.arms) {
      const told = measures.map((measure) => figure(own[measure]!.value, own[measure]!.interval));
      const found = rowsOf('docs/studies.md', new RegExp(`^${arm}(:|$)`)).map((cells) => cells.slice(1));
      if (found.some((cells) => cells.join() === told.join())) rows += 1;
    }
    expect(rows).toBe(figures.arms.length);
    expect(text).toContain(`results/${name}/index.html`);
  });
});

describe('the study smollm2-wide in docs/studies.md', () => {
  const { figures } = JSON.parse(readFileSync('docs/results/smollm2-wide/study.json', 'utf8')) as Study;
  const told = ({ value, interval }: { value: number; interval: Interval }): string =>
    `${signed(value)} [${interval.map(signed).join(', ')}]`;

  test('every arm that is done', () => {
    const measures = ['harmlessness', 'over-refusal', 'utility/gsm8k', 'utility/mmlu'];
    expect(figures.arms.length).toBeGreaterThan(2);
    for (const { arm, figures: own } of figures.arms) {
      const row = measures.map((measure) => figure(own[measure]!.value, own[measure]!.interval));
      const found = rowsOf('docs/studies.md', new RegExp(`^${arm}$`)).map((cells) => cells.slice(1));
      expect(found).toContainEqual(row);
    }
  });

  test('every difference between arms', () => {
    const rows = rowsOf('docs/studies.md', /^\S+ less \S+$/);
    expect(rows.length).toBeGreaterThan(2);
    for (const [pair, ...cells] of rows) {
      const [one, other] = pair!.split(' less ');
      const differences = ['harmlessness', 'over-refusal', 'utility/mmlu'].map((measure) => {
        const found = figures.differences.find(
          ({ measure: of, from, to }) => of === measure && [from, to].toSorted().join() === [one, other].toSorted().join(),
        )!;
        const { value, interval } = found;
        // The result has the later arm less the one before it.
        return told(found.to === one ? found : { value: -value, interval: [-interval[1], -interval[0]] });
      });
      expect(cells, pair).toEqual(differences);
    }
  });
});

interface DomainRun {
  evaluations: { rates: Record<string, { count: number; n: number }> }[];
  headlines: { id: string; value: number; interval: Interval; met: boolean | null }[];
}

describe.each([
  ['healthcare', 1],
  ['software', 3],
] as const)('the run of the domain %s in docs/domains.md', (name, column) => {
  const run = JSON.parse(readFileSync(`docs/results/domains/${name}.json`, 'utf8')) as DomainRun;

  test.for([
    [/^both parts present/, 'format'],
    [/^refuses harmful requests$/, 'refusal/harmful'],
    [/^refuses plain harmless requests$/, 'refusal/plain'],
    [/^refuses look-alike harmless requests$/, 'refusal/look-alike'],
  ] as const)('%s', ([row, rate]) => {
    const told = rowsOf('docs/domains.md', row)[0]!.slice(column, column + 2);
    const measured = run.evaluations.map(({ rates }) => {
      const { count, n } = rates[rate]!;
      return figure(count / n, wilsonInterval(count, n));
    });
    expect(told).toEqual(measured);
  });

  test('which of the targets are met, and the gap', () => {
    const met = run.headlines.filter((headline) => headline.met).map(({ id }) => id);
    expect(met).toEqual(['format', 'harmfulRefusals', ...(name === 'software' ? ['gapPlain'] : [])]);
    const { value, interval } = run.headlines.find(({ id }) => id === 'gapPlain')!;
    const told = [value, ...interval].map(signed);
    expect(rowsOf('docs/domains.md', /^harmful minus plain, change$/)[0]![column + 1]).toBe(
      `${told[0]} [${told.slice(1).join(', ')}]`,
    );
  });
});

interface Durability {
  kills: number;
  identical: number;
  runs: number;
  table: { fault: string; times: number; lost: number; redone: number; identical: boolean }[];
}

describe('the faults in the README', () => {
  const { table, runs, identical } = JSON.parse(readFileSync('docs/results/durability.json', 'utf8')) as Durability;
  const rows: [row: RegExp, faults: RegExp][] = [
    [/^SIGKILL engine/, /^SIGKILL engine/],
    [/^SIGKILL gpu worker/, /^SIGKILL gpu worker/],
    [/^SIGKILL judge worker/, /^SIGKILL judge worker/],
    [/^SIGKILL control worker/, /^SIGKILL control worker/],
    [/^SIGKILL Temporal server/, /^SIGKILL Temporal server/],
    [/^SIGKILL S3 server/, /^SIGKILL S3 server/],
    [/^SIGTERM of a gpu or control worker/, /^SIGTERM/],
    [/^SIGSTOP of a worker or the engine/, /^SIGSTOP (\w+ worker|engine)/],
    [/^SIGSTOP of a server/, /^SIGSTOP \w+ server/],
    [/^disk full/, /^disk full/],
    [/^S3: 500, 503/, /^S3: (500|503 SlowDown|no answer|reset)/],
    [/^S3: truncated or wrong/, /^S3: (truncated|wrong)/],
    [/^S3: 1 KB\/s/, /^S3: 1 KB/],
    [/^Temporal: /, /^Temporal: /],
    [/^all disks lost but S3/, /^all disks lost but S3/],
    [/^Temporal database lost/, /^Temporal database lost/],
    [/^two owners of a shard/, /^two owners of a shard/],
    [/^two cada train of one run/, /^two cada train/],
    [/^clock jumps/, /^clock jumps/],
    [/^a worker of a newer version/, /^newer version joins/],
  ];
  test.for(rows)('%s', ([row, faults]) => {
    const counted = table.filter(({ fault }) => faults.test(fault));
    const sum = (count: (each: Durability['table'][number]) => number): string =>
      String(counted.reduce((total, each) => total + count(each), 0));
    const [cells] = rowsOf('README.md', row);
    expect(cells!.slice(1)).toEqual([
      sum(({ times }) => times),
      sum(({ lost }) => lost),
      sum(({ redone }) => redone),
      counted.every((each) => each.identical) ? 'yes' : 'no',
    ]);
  });

  test('no fault is left out, and all runs are identical', () => {
    const untold = table.filter(({ fault }) => !rows.some(([, faults]) => faults.test(fault)));
    expect(untold).toEqual([]);
    expect(identical).toBe(runs);
  });
});
