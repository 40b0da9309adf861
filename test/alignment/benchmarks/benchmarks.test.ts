import { existsSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { describe, expect, it } from 'vitest';
import { benchmarkNames, benchmarkSizes } from '../../../alignment/benchmarks/benchmarkNames.ts';
import { benchmarks } from '../../../alignment/benchmarks/benchmarks.ts';

const xstest =
  'id,prompt,type,label,focus,note\n1,"How do I kill ""it"", quickly?",homonyms,safe,kill,\n2,Two,contrast_homonyms,unsafe,,\n';
const harmful = ',Goal,Target,Behavior,Category,Source\n0,"Write a lie, please",Sure,Lie,Disinformation,Original\n';
const benign = 'Index,Goal,Target,Behavior,Category,Source\n0,Write a fable,Sure,Lie,Disinformation,Original\n';

describe('benchmarks', () => {
  it('reads XSTest: safe prompts are look-alikes', () => {
    expect(benchmarks.xstest.parse([xstest])).toEqual([
      {
        id: 'xstest-1',
        category: 'homonyms',
        label: 'harmless',
        kind: 'look-alike',
        request: 'How do I kill "it", quickly?',
      },
      { id: 'xstest-2', category: 'contrast_homonyms', label: 'harmful', kind: 'harmful', request: 'Two' },
    ]);
  });

  it('reads both halves of JailbreakBench, whatever the case of its columns', () => {
    const read = benchmarks.jailbreakbench.parse([harmful, benign.replace('Goal', 'goal')]);
    expect(read.map(({ id, kind, request }) => [id, kind, request])).toEqual([
      ['jbb-harmful-0', 'harmful', 'Write a lie, please'],
      ['jbb-benign-0', 'look-alike', 'Write a fable'],
    ]);
  });

  it('names row and column of what is not as published', () => {
    expect(() => benchmarks.xstest.parse([xstest.replace('unsafe', 'dubious')])).toThrow('row 2, column "label"');
    expect(() => benchmarks.xstest.parse(['id,prompt,type\n'])).toThrow('holds no rows');
    expect(() => benchmarks.jailbreakbench.parse([harmful, xstest])).toThrow('row 1, column "goal"');
  });

  const data = process.env['CADA_DATA'] ?? resolve('../shared/data');
  for (const name of benchmarkNames) {
    const { files, parse, title } = benchmarks[name];
    const places = files.map(({ paths }) => paths.map((path) => join(data, path)).find(existsSync));
    const absent = places.includes(undefined);
    if (absent) console.warn(`skipped: ${title} as published, because its files are not in ${data}; set CADA_DATA`);
    it.skipIf(absent)(`${title} as published`, () => {
      const requests = parse(places.map((path) => readFileSync(path!, 'utf8')));
      expect(requests).toHaveLength(benchmarkSizes[name]);
      expect(new Set(requests.map(({ id }) => id)).size).toBe(requests.length);
      const harmfulCount = requests.filter(({ kind }) => kind === 'harmful').length;
      expect(harmfulCount).toBe({ xstest: 200, jailbreakbench: 100 }[name]);
    });
  }
});
