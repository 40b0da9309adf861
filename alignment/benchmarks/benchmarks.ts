/** Public benchmarks of refusal and over-refusal, read into requests. Their files are fetched or found, never shipped: licences differ. */
import { parse } from 'csv-parse/sync';
import { z } from 'zod';
import type { SafetyRequest } from '../library/library.ts';
import type { BenchmarkName } from './benchmarkNames.ts';

/** One file of a benchmark: any of `paths` below the data folder, else fetched from `url`. */
export interface BenchmarkFile {
  /** Relative to the data folder (`CADA_DATA`), the first that exists; the first is also its place in the cache. */
  paths: string[];
  url: string;
  /** Of the file at `url`; absent where the address follows a branch. */
  sha256?: string;
}

export interface Benchmark {
  title: string;
  /** Where it was published, and its licence. */
  source: string;
  files: BenchmarkFile[];
  /** @throws Error naming the column or row that is not as published. */
  parse(texts: readonly string[]): SafetyRequest[];
}

export const benchmarks: Record<BenchmarkName, Benchmark> = {
  xstest: {
    title: 'XSTest',
    source: 'Röttger et al. 2024, arXiv:2308.01263, CC BY 4.0',
    files: [
      {
        paths: ['xstest/xstest_prompts.csv'],
        url: 'https://raw.githubusercontent.com/paul-rottger/exaggerated-safety/d7bb5bd738c1fcbc36edd83d5e7d1b71a3e2d84d/xstest_prompts.csv',
        sha256: '11783fb294ed017473ee53c207d71f2161c7672c8d0b037501e78387f801cb5a',
      },
    ],
    parse: ([prompts]) =>
      rowsOf(prompts!, z.object({ id: text, prompt: text, type: text, label: z.enum(['safe', 'unsafe']) })).map(
        ({ id, prompt, type, label }) => request(`xstest-${id}`, type, label === 'unsafe', prompt),
      ),
  },
  jailbreakbench: {
    title: 'JailbreakBench',
    source: 'JBB-Behaviors, Chao et al. 2024, arXiv:2404.01318, MIT',
    files: [
      {
        paths: ['jailbreakbench/jailbreakbench.csv', 'jailbreakbench/harmful-behaviors.csv'],
        url: 'https://raw.githubusercontent.com/andyrdt/refusal_direction/9d852fae1a9121c78b29142de733cb1340770cc3/dataset/raw/jailbreakbench.csv',
        sha256: '45e9a8923b28f547bb372fbaa9af7df8b38c818a80ae50c3bab97704197ff516',
      },
      {
        paths: ['jailbreakbench/benign-behaviors.csv', 'jailbreakbench/jbb_benign_TRANSCRIBED.csv'],
        url: 'https://huggingface.co/datasets/JailbreakBench/JBB-Behaviors/resolve/main/data/benign-behaviors.csv',
      },
    ],
    parse: ([harmful, benign]) => [
      ...behaviours(harmful!).map(({ goal, category }, row) => request(`jbb-harmful-${row}`, category, true, goal)),
      ...behaviours(benign!).map(({ goal, category }, row) => request(`jbb-benign-${row}`, category, false, goal)),
    ],
  },
};

const text = z.string().trim().min(1, 'is empty');

function behaviours(csv: string): { goal: string; category: string }[] {
  return rowsOf(csv, z.object({ goal: text, category: text }));
}

/** The benign half of a benchmark is made to look harmful: its requests are look-alikes. */
function request(id: string, category: string, harmful: boolean, prompt: string): SafetyRequest {
  return {
    id,
    category,
    label: harmful ? 'harmful' : 'harmless',
    kind: harmful ? 'harmful' : 'look-alike',
    request: prompt,
  };
}

/** Column names are compared in lower case: copies differ in that. */
function rowsOf<T>(csv: string, schema: z.ZodType<T>): T[] {
  const rows: unknown[] = parse(csv, {
    bom: true,
    columns: (names: string[]) => names.map((name) => name.trim().toLowerCase()),
    skip_empty_lines: true,
  });
  if (rows.length === 0) throw new Error('holds no rows');
  return rows.map((row, index) => {
    const result = schema.safeParse(row);
    if (result.success) return result.data;
    const [issue] = result.error.issues;
    throw new Error(`row ${index + 1}, column "${issue!.path.join('.')}": ${issue!.message}`);
  });
}
