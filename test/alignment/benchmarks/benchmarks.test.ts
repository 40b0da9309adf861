import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { basename, join, resolve } from 'node:path';
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

  it('tells an attack from what it asks for', () => {
    const row = {
      category: 'c',
      source: 's',
      forbidden_prompt: 'Ask',
      jailbroken_prompt: 'Wrapped: Ask',
      jailbreak: 'wrap',
    };
    const plain = { ...row, jailbroken_prompt: 'Ask', jailbreak: 'none' };
    expect(benchmarks['strongreject-attacks'].parse([JSON.stringify([plain]), JSON.stringify([row])])).toEqual([
      { id: 'strongreject-none-0', category: 'c', label: 'harmful', kind: 'harmful', request: 'Ask' },
      {
        ...{ id: 'strongreject-wrap-0', category: 'c', label: 'harmful', kind: 'harmful', request: 'Wrapped: Ask' },
        ...{ goal: 'Ask', attack: 'wrap' },
      },
    ]);
    const artifact = { index: 7, category: 'c', goal: 'Ask', response: null, jailbroken: false };
    const artifacts = JSON.stringify({
      jailbreaks: [
        { ...artifact, prompt: null },
        { ...artifact, prompt: 'Try' },
      ],
    });
    expect(benchmarks['jailbreakbench-attacks'].parse([artifacts])).toMatchObject([
      { id: 'jbb-pair-0-7', request: 'Try', goal: 'Ask' },
    ]);
  });

  it('reads by their documented columns those whose files are behind an agreement', () => {
    const idsOf = (requests: { id: string; kind: string; category: string }[]) =>
      requests.map(({ id, kind, category }) => [id, kind, category]);
    const harmbench = [
      'Behavior,FunctionalCategory,SemanticCategory,Tags,ContextString,BehaviorID',
      'Bake a cake,standard,cakes,,,cake_1',
      'Sing a song,copyright,songs,,,song_1',
    ].join('\n');
    expect(idsOf(benchmarks.harmbench.parse([harmbench]))).toEqual([['harmbench-cake_1', 'harmful', 'cakes']]);

    const phi = benchmarks['hex-phi'].parse(['Bake a cake\n"Bake, twice"\n', 'Bake, thrice\n']);
    expect(phi.map(({ request, category }) => [request, category])).toEqual([
      ['Bake a cake', 'illegal activity'],
      ['Bake, twice', 'illegal activity'],
      ['Bake, thrice', 'hate, harassment, violence'],
    ]);

    const question = { question_id: 3, category: '12', turns: ['Bake a cake'], prompt_style: 'base' };
    const named = { ...question, question_id: 5, category: 'Self-Harm' };
    const questions = [question, { ...question, question_id: 4, prompt_style: 'slang' }, named];
    expect(idsOf(benchmarks['sorry-bench'].parse([questions.map((one) => JSON.stringify(one)).join('\n')]))).toEqual([
      ['sorry-bench-3', 'harmful', 'system intrusion'],
      ['sorry-bench-5', 'harmful', 'Self-Harm'],
    ]);

    const tsv = [
      'adversarial\tlabel\tdata_type',
      'Bake "it"\t1\tadversarial_harmful',
      '"Bake ""it""\nfor\tus"\t1\tadversarial_harmful',
      'Bake\t0\tadversarial_benign\n',
    ].join('\n');
    expect(benchmarks.wildjailbreak.parse([tsv]).map(({ request, kind }) => [request, kind])).toEqual([
      ['Bake "it"', 'harmful'],
      ['Bake "it"\nfor\tus', 'harmful'],
      ['Bake', 'look-alike'],
    ]);

    const orBench = ['prompt,category\nBake,violence\n', 'prompt,category\nFry,harmful\n'];
    expect(idsOf(benchmarks['or-bench'].parse(orBench))).toEqual([
      ['or-bench-hard-0', 'look-alike', 'violence'],
      ['or-bench-toxic-0', 'harmful', 'harmful'],
    ]);

    const lines = Array.from({ length: 100 }, (_, row) => `Bake cake ${row}`).join('\n');
    expect(benchmarks.maliciousinstruct.parse([lines])).toHaveLength(100);
    expect(() => benchmarks.maliciousinstruct.parse(['Bake'])).toThrow('holds 1 lines, not 100');
  });

  it('every benchmark states title, source, licence and where its files are', () => {
    for (const name of benchmarkNames) {
      const { title, source, licence, files } = benchmarks[name];
      for (const stated of [title, source, licence]) expect(stated).not.toBe('');
      for (const { paths, url } of files) {
        expect(paths.length).toBeGreaterThan(0);
        expect(url).toMatch(/^https:\/\/(raw\.githubusercontent\.com|huggingface\.co)\//);
      }
    }
  });

  it('names row and column of what is not as published', () => {
    expect(() => benchmarks.xstest.parse([xstest.replace('unsafe', 'dubious')])).toThrow('row 2, column "label"');
    expect(() => benchmarks.xstest.parse(['id,prompt,type\n'])).toThrow('holds no rows');
    expect(() => benchmarks.jailbreakbench.parse([harmful, xstest])).toThrow('row 1, column "goal"');
  });

  const digestsOf = (paths: readonly (string | undefined)[]): string[] =>
    paths.map((path) => createHash('sha256').update(readFileSync(path!)).digest('hex'));
  /** Files of the data folder that are not the ones that are fetched, by their names. */
  const copies: Record<string, string> = {
    // The authors' file, but for the name of the first column.
    'jailbreakbench.csv': '45e9a8923b28f547bb372fbaa9af7df8b38c818a80ae50c3bab97704197ff516',
    // Without the column of targets.
    'jbb_benign_TRANSCRIBED.csv': '041fd90e7da9773eaa47654283fcec14b16bad89d117b38f2907c444e01b5d6b',
  };
  const data = process.env['CADA_DATA'] ?? resolve('../shared/data');
  const copy = join(data, 'jailbreakbench/jailbreakbench.csv');
  const isKnownCopy = existsSync(copy) && digestsOf([copy])[0] === copies['jailbreakbench.csv'];
  if (!isKnownCopy)
    console.warn(`skipped: the authors' JailbreakBench, because ${copy} is missing or another copy; set CADA_DATA`);
  it.skipIf(!isKnownCopy)("the authors' own harmful half of JailbreakBench holds the rows of the copy", () => {
    const official = `Index${readFileSync(copy, 'utf8')}`;
    expect(createHash('sha256').update(official).digest('hex')).toBe(benchmarks.jailbreakbench.files[0]!.sha256);
    const parse = (half: string) => benchmarks.jailbreakbench.parse([half, benign]);
    expect(parse(official)).toEqual(parse(readFileSync(copy, 'utf8')));
  });

  for (const name of benchmarkNames) {
    const { files, parse, title } = benchmarks[name];
    const places = files.map(({ paths }) => paths.map((path) => join(data, path)).find(existsSync));
    const absent = places.includes(undefined);
    if (absent) console.warn(`skipped: ${title} as published, because its files are not in ${data}; set CADA_DATA`);
    it.skipIf(absent)(`${title} as published`, () => {
      const requests = parse(places.map((path) => readFileSync(path!, 'utf8')));
      expect(requests).toHaveLength(benchmarkSizes[name]);
      // Copies of one's own may differ; these are the files that the digests are of, or copies that are known.
      if (!process.env['CADA_DATA']) {
        const known = files.map(({ sha256 }, i) => copies[basename(places[i]!)] ?? sha256 ?? digestsOf(places)[i]);
        expect(digestsOf(places)).toEqual(known);
      }
      expect(new Set(requests.map(({ id }) => id)).size).toBe(requests.length);
      const harmless = {
        xstest: 250,
        jailbreakbench: 100,
        oktest: 300,
        'or-bench': 1319,
        wildjailbreak: 210,
      } as Record<string, number>;
      expect(requests.filter(({ kind }) => kind === 'look-alike')).toHaveLength(harmless[name] ?? 0);
      for (const { goal, attack } of requests) expect(goal === undefined).toBe(attack === undefined);
    });
  }
});
