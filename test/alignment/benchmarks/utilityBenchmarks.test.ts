import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { basename, join, resolve } from 'node:path';
import { strFromU8, unzipSync } from 'fflate';
import { describe, expect, it } from 'vitest';
import { utilityNames } from '../../../alignment/benchmarks/benchmarkNames.ts';
import { utilityBenchmarks } from '../../../alignment/benchmarks/utilityBenchmarks.ts';

const problem = (question: string, answer: string): string => JSON.stringify({ question, answer });

describe('utilityBenchmarks', () => {
  it('GSM8K: five worked examples without calculator marks, the number after ####', () => {
    const train = Array.from({ length: 7 }, (_, i) =>
      problem(`Train ${i}?`, `It is <<1+${i}=${1 + i}>>${1 + i}.\n#### ${1 + i}`),
    );
    const [question] = utilityBenchmarks.gsm8k.parse([problem('How many?', 'So\n#### 1,234'), train.join('\n')]);
    expect(question!.expected).toEqual({ kind: 'number', value: 1234 });
    expect(question!.prompt.match(/Question:/g)).toHaveLength(6);
    expect(question!.prompt).toContain('Question: Train 4?\nAnswer: It is 5.\n#### 5\n\nQuestion: How many?\nAnswer:');
    expect(() => utilityBenchmarks.gsm8k.parse([problem('How many?', 'none'), train[0]!])).toThrow(
      'no number after ####',
    );
  });

  it('MMLU: five worked examples of the subject', () => {
    const rows = Array.from({ length: 6 }, (_, i) => `"Dev ${i}?",a,b,c,d,A`).join('\n');
    const archive = JSON.stringify({
      'data/dev/folk_tales_dev.csv': rows,
      'data/test/folk_tales_test.csv': '"Which, then?",one,two,three,four,C\n',
    });
    const [question] = utilityBenchmarks.mmlu.parse([archive]);
    expect(question).toMatchObject({ id: 'mmlu-folk_tales-0', category: 'folk tales', expected: { value: 'C' } });
    expect(question!.prompt).toMatch(
      /^The following are multiple choice questions \(with answers\) about folk tales\.\n\n/,
    );
    expect(question!.prompt).toContain('Dev 4?\nA. a\nB. b\nC. c\nD. d\nAnswer: A\n\nWhich, then?\nA. one\n');
    expect(question!.prompt).not.toContain('Dev 5');
    const broken = JSON.stringify({ 'data/dev/x_dev.csv': rows, 'data/test/x_test.csv': 'Q,a,b,c,d,E' });
    expect(() => utilityBenchmarks.mmlu.parse([broken])).toThrow('test/x, row 1');
    expect(() => utilityBenchmarks.mmlu.parse([JSON.stringify({ 'data/test/x_test.csv': rows })])).toThrow(
      'dev/x_dev.csv',
    );
  });

  it('IFEval: instructions with their arguments', () => {
    const row = {
      key: 7,
      prompt: 'Write.',
      instruction_id_list: ['punctuation:no_comma', 'a:b'],
      kwargs: [{}, { n: 2 }],
    };
    expect(utilityBenchmarks.ifeval.parse([JSON.stringify(row)])[0]).toMatchObject({
      id: 'ifeval-7',
      category: 'punctuation',
      prompt: 'Write.',
      expected: {
        instructions: [
          { id: 'punctuation:no_comma', arguments: {} },
          { id: 'a:b', arguments: { n: 2 } },
        ],
      },
    });
  });

  it('BIG-Bench Hard: one file a task', () => {
    expect(utilityBenchmarks.bbh.files).toHaveLength(27);
    const file = JSON.stringify({ canary: 'x', examples: [{ input: 'not True is', target: 'False' }] });
    expect(utilityBenchmarks.bbh.parse([file])[0]).toMatchObject({
      id: 'bbh-boolean_expressions-0',
      expected: { kind: 'text', value: 'False' },
    });
  });

  /** Files of the data folder that are not the ones that are fetched, by their names. */
  const copies: Record<string, string> = {
    // The authors' file without one of its rows.
    'input_data.jsonl': '0ca6d445a430b5dfe2a9657492fa058ff83fce61c7ed1a3b5f74c3a746d2160b',
  };
  const data = process.env['CADA_DATA'] ?? resolve('../shared/data');
  for (const name of utilityNames) {
    const { files, parse, size, title, shots } = utilityBenchmarks[name];
    const places = files.map(({ paths }) => paths.map((path) => join(data, path)).find(existsSync));
    const absent = places.includes(undefined);
    if (absent) console.warn(`skipped: ${title} as published, because its files are not in ${data}; set CADA_DATA`);
    it.skipIf(absent)(`${title} as published`, () => {
      const texts = places.map((path, index) => {
        const bytes = readFileSync(path!);
        const sha256 = copies[basename(path!)] ?? files[index]!.sha256;
        if (sha256 && !process.env['CADA_DATA']) expect(createHash('sha256').update(bytes).digest('hex')).toBe(sha256);
        if (!files[index]!.archive) return bytes.toString('utf8');
        return JSON.stringify(
          Object.fromEntries(Object.entries(unzipSync(bytes)).map(([file, content]) => [file, strFromU8(content)])),
        );
      });
      const questions = parse(texts);
      // The copy of IFEval lacks a row, and one of the reader's own may.
      expect([size, size - 1]).toContain(questions.length);
      expect(new Set(questions.map(({ id }) => id)).size).toBe(questions.length);
      if (name === 'mmlu') expect(new Set(questions.map(({ category }) => category)).size).toBe(57);
      if (shots > 0) for (const { prompt } of questions) expect(prompt.split('\n\n').length).toBeGreaterThan(shots);
    });
  }
});
