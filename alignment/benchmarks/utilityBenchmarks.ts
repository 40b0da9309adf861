/** Benchmarks of utility: questions with an answer that can be checked. What a model should not lose while it is aligned. */
import { z } from 'zod';
import { goldNumber } from '../evaluation/exactAnswers.ts';
import type { Instruction } from '../evaluation/ifeval/ifeval.ts';
import type { UtilityName } from './benchmarkNames.ts';
import type { BenchmarkSource } from './benchmarks.ts';
import { cellsOfCsv, rowsOfJson, rowsOfJsonLines, text } from './readRows.ts';

/** What makes an answer right. */
export type Expected =
  | { kind: 'number'; value: number }
  | { kind: 'letter'; value: string }
  | { kind: 'text'; value: string }
  | { kind: 'instructions'; instructions: Instruction[] };

export interface UtilityQuestion {
  id: string;
  category: string;
  /** One user turn: worked examples, if the benchmark has them, and the question. */
  prompt: string;
  expected: Expected;
}

export interface UtilityBenchmark extends BenchmarkSource {
  /** Worked examples before each question. */
  shots: number;
  /** Share of right answers by guessing. */
  chance: number;
  /** Questions of the whole benchmark. */
  size: number;
  /** @throws Error naming the column or row that is not as published. */
  parse(texts: readonly string[]): UtilityQuestion[];
}

const raw = (path: string): string => `https://raw.githubusercontent.com/${path}`;

export const utilityBenchmarks: Record<UtilityName, UtilityBenchmark> = {
  gsm8k: {
    title: 'GSM8K',
    source: 'Cobbe et al. 2021, arXiv:2110.14168',
    licence: 'MIT',
    shots: 5,
    chance: 0,
    size: 1319,
    files: [
      {
        paths: ['gsm8k/test.jsonl'],
        url: raw('openai/grade-school-math/3101c7d5072418e28b9008a6636bde82a006892c/grade_school_math/data/test.jsonl'),
        sha256: '3730d312f6e3440559ace48831e51066acaca737f6eabec99bccb9e4b3c39d14',
      },
      {
        paths: ['gsm8k/train.jsonl'],
        url: raw(
          'openai/grade-school-math/3101c7d5072418e28b9008a6636bde82a006892c/grade_school_math/data/train.jsonl',
        ),
        sha256: '17f347dc51477c50d4efb83959dbb7c56297aba886e5544ee2aaed3024813465',
      },
    ],
    parse: ([test, train]) => {
      const shots = problems(train!)
        .slice(0, 5)
        .map(({ question, answer }) => `Question: ${question}\nAnswer: ${answer.replace(/<<[^>]*>>/g, '')}`);
      return problems(test!).map(({ question, answer }, row) => ({
        id: `gsm8k-${row}`,
        category: 'grade-school mathematics',
        prompt: [...shots, `Question: ${question}\nAnswer:`].join('\n\n'),
        expected: { kind: 'number', value: goldNumber(answer) },
      }));
    },
  },
  mmlu: {
    title: 'MMLU',
    source: 'Hendrycks et al. 2021, arXiv:2009.03300',
    licence: 'MIT',
    shots: 5,
    chance: 0.25,
    size: 14042,
    files: [
      {
        paths: ['mmlu/mmlu.zip'],
        url: raw('jincan333/LLaMA-Factory/e567f7e44ce1326610c606337a7b49bb35cf1a41/evaluation/mmlu/mmlu.zip'),
        sha256: '9e2b2d78bf59d80baf271a13005568ef0aca17bd663f2e5ebfecdc07a68f0edc',
        archive: true,
      },
    ],
    parse: ([archive]) => {
      const files = JSON.parse(archive!) as Record<string, string>;
      const tests = Object.keys(files)
        .sort()
        .flatMap((path) => /(?:^|\/)test\/([^/]+)_test\.csv$/.exec(path)?.[1] ?? []);
      if (tests.length === 0) throw new Error('holds no test/<subject>_test.csv');
      return tests.flatMap((subject) =>
        subjectQuestions(subject, fileOf(files, 'dev', subject), fileOf(files, 'test', subject)),
      );
    },
  },
  ifeval: {
    title: 'IFEval',
    source: 'Zhou et al. 2023, arXiv:2311.07911',
    licence: 'Apache-2.0',
    shots: 0,
    chance: 0,
    size: 541,
    files: [
      {
        paths: ['ifeval/input_data.jsonl'],
        url: raw(
          'google-research/google-research/041338718b4e8151372fd63677104c65b73a0a4e/instruction_following_eval/data/input_data.jsonl',
        ),
        sha256: '67ffeee0fcb87c317c5b08a2de85557b4a7e96ada6178aa645b4954fe4b53d49',
      },
    ],
    parse: ([rows]) => {
      const row = z.object({
        key: z.int(),
        prompt: text,
        instruction_id_list: z.array(text).min(1),
        kwargs: z.array(z.record(z.string(), z.unknown())),
      });
      return rowsOfJsonLines(rows!, row).map(({ key, prompt, instruction_id_list, kwargs }) => ({
        id: `ifeval-${key}`,
        category: instruction_id_list[0]!.split(':')[0]!,
        prompt,
        expected: {
          kind: 'instructions',
          instructions: instruction_id_list.map((id, index) => ({ id, arguments: kwargs[index] ?? {} })),
        },
      }));
    },
  },
  bbh: {
    title: 'BIG-Bench Hard',
    source: 'Suzgun et al. 2022, arXiv:2210.09261',
    licence: 'MIT',
    shots: 0,
    chance: 0,
    size: 6511,
    files: bbhTasks().map((task) => ({
      paths: [`bbh/${task}.json`],
      url: raw(`suzgunmirac/BIG-Bench-Hard/9ee07bd481feebf959a6b59d61ea57bdcf30964d/bbh/${task}.json`),
    })),
    parse: (texts) =>
      texts.flatMap((file, index) => {
        const task = bbhTasks()[index] ?? `task ${index}`;
        const examples = rowsOfJson(
          file,
          z.object({ input: text, target: text }),
          (value) => (value as { examples?: unknown } | null)?.examples,
        );
        return examples.map(({ input, target }, row): UtilityQuestion => ({
          id: `bbh-${task}-${row}`,
          category: task,
          prompt: `${input}\n\nEnd with one line: The answer is <answer>.`,
          expected: { kind: 'text', value: target },
        }));
      }),
  },
};

function problems(lines: string): { question: string; answer: string }[] {
  return rowsOfJsonLines(lines, z.object({ question: text, answer: text }));
}

function fileOf(files: Record<string, string>, split: string, subject: string): string {
  const path = Object.keys(files).find((one) => one.endsWith(`${split}/${subject}_${split}.csv`));
  if (path === undefined) throw new Error(`holds no ${split}/${subject}_${split}.csv`);
  return files[path]!;
}

const letters = ['A', 'B', 'C', 'D'] as const;

/** In the words of the benchmark's own evaluation, five worked examples of the same subject. */
function subjectQuestions(subject: string, dev: string, test: string): UtilityQuestion[] {
  const name = subject.replaceAll('_', ' ');
  const opening = `The following are multiple choice questions (with answers) about ${name}.`;
  const shots = choices(dev, `dev/${subject}`)
    .slice(0, 5)
    .map(({ question, answer }) => `${question}\nAnswer: ${answer}`);
  return choices(test, `test/${subject}`).map(({ question, answer }, row) => ({
    id: `mmlu-${subject}-${row}`,
    category: name,
    prompt: [opening, ...shots, `${question}\nAnswer:`].join('\n\n'),
    expected: { kind: 'letter', value: answer },
  }));
}

/** Rows of question, four choices, letter; there is no header. */
function choices(csv: string, where: string): { question: string; answer: string }[] {
  return cellsOfCsv(csv).map((cells, row) => {
    const [question, ...rest] = cells;
    const answer = rest[4]?.trim();
    if (cells.length !== 6 || !letters.some((letter) => letter === answer)) {
      throw new Error(`${where}, row ${row + 1}: not a question, four choices and a letter`);
    }
    const listed = letters.map((letter, index) => `${letter}. ${rest[index]}`);
    return { question: [question!.trim(), ...listed].join('\n'), answer: answer! };
  });
}

function bbhTasks(): string[] {
  return [
    ...['boolean_expressions', 'causal_judgement', 'date_understanding', 'disambiguation_qa', 'dyck_languages'],
    ...['formal_fallacies', 'geometric_shapes', 'hyperbaton', 'logical_deduction_five_objects'],
    ...['logical_deduction_seven_objects', 'logical_deduction_three_objects', 'movie_recommendation'],
    ...['multistep_arithmetic_two', 'navigate', 'object_counting', 'penguins_in_a_table'],
    ...['reasoning_about_colored_objects', 'ruin_names', 'salient_translation_error_detection', 'snarks'],
    ...['sports_understanding', 'temporal_sequences', 'tracking_shuffled_objects_five_objects'],
    ...['tracking_shuffled_objects_seven_objects', 'tracking_shuffled_objects_three_objects', 'web_of_lies'],
    'word_sorting',
  ];
}
