/**
 * Public benchmarks of refusal, over-refusal and robustness, read into requests. Their files are fetched or found, never shipped: licences differ. One
 * entry a benchmark; a digest stands where the address is fixed, columns are checked everywhere.
 */
import { z } from 'zod';
import type { SafetyRequest } from '../library/library.ts';
import { hexPhiCategories, sorryBenchCategories } from './benchmarkCategories.ts';
import type { BenchmarkName } from './benchmarkNames.ts';
import { parseAttackArtifacts } from './labelledAnswers.ts';
import { cellsOfCsv, rowsOfCsv, rowsOfJson, rowsOfJsonLines, text } from './readRows.ts';

/** One file of a benchmark: any of `paths` below the data folder, else fetched from `url`. */
export interface BenchmarkFile {
  /** Relative to the data folder (`CADA_DATA`), the first that exists; the first is also its place in the cache. */
  paths: string[];
  url: string;
  /** Of the file at `url`; absent where the address follows a branch. */
  sha256?: string;
  /** A zip archive: its text files are handed to `parse` as one JSON object, path -> text. */
  archive?: true;
}

/** What every benchmark says of itself. */
export interface BenchmarkSource {
  title: string;
  /** Where it was published. */
  source: string;
  /** Of the data; `unknown` where its source states none. */
  licence: string;
  /** The hub asks for an account and an agreement: HF_TOKEN is sent. */
  gated?: true;
  files: BenchmarkFile[];
}

export interface BenchmarkRequest extends SafetyRequest {
  /** What is asked for, where the request is an attack's wording of it: what a judge is told. */
  goal?: string;
  /** Name of the attack. */
  attack?: string;
}

export interface Benchmark extends BenchmarkSource {
  /** @throws Error naming the column or row that is not as published. */
  parse(texts: readonly string[]): BenchmarkRequest[];
}

const github = (path: string): string => `https://raw.githubusercontent.com/${path}`;
const hub = (path: string): string => `https://huggingface.co/datasets/${path}`;
const jailbreakBench = 'JailbreakBench/JBB-Behaviors/resolve/886acc352a31533ffbcf4ef22c744658688086fc/data';
const refusalDirection = 'andyrdt/refusal_direction/9d852fae1a9121c78b29142de733cb1340770cc3/dataset/raw';

const strongReject = { source: 'Souly et al. 2024, arXiv:2402.10260', licence: 'MIT' };

export const benchmarks: Record<BenchmarkName, Benchmark> = {
  xstest: {
    title: 'XSTest',
    source: 'Röttger et al. 2024, arXiv:2308.01263',
    licence: 'CC BY 4.0',
    files: [
      {
        paths: ['xstest/xstest_prompts.csv'],
        url: github('paul-rottger/exaggerated-safety/d7bb5bd738c1fcbc36edd83d5e7d1b71a3e2d84d/xstest_prompts.csv'),
        sha256: '11783fb294ed017473ee53c207d71f2161c7672c8d0b037501e78387f801cb5a',
      },
    ],
    parse: ([prompts]) =>
      rowsOfCsv(prompts!, z.object({ id: text, prompt: text, type: text, label: z.enum(['safe', 'unsafe']) })).map(
        ({ id, prompt, type, label }) => request(`xstest-${id}`, type, label === 'unsafe', prompt),
      ),
  },
  jailbreakbench: {
    title: 'JailbreakBench',
    source: 'JBB-Behaviors, Chao et al. 2024, arXiv:2404.01318',
    licence: 'MIT',
    files: [
      {
        paths: ['jailbreakbench/harmful-behaviors.csv', 'jailbreakbench/jailbreakbench.csv'],
        url: hub(`${jailbreakBench}/harmful-behaviors.csv`),
        sha256: '4a8ec6832056b631eb092dccc60d37a61c3d441268268888b3d006288afeffa1',
      },
      {
        paths: ['jailbreakbench/benign-behaviors.csv', 'jailbreakbench/jbb_benign_TRANSCRIBED.csv'],
        url: hub(`${jailbreakBench}/benign-behaviors.csv`),
        sha256: '3cda234d21a991fa309bbfea4b6d9dae31ccdf8e9d452424b6a983e4fdc33468',
      },
    ],
    parse: ([harmful, benign]) => [
      ...behaviours(harmful!).map(({ goal, category }, row) => request(`jbb-harmful-${row}`, category, true, goal)),
      ...behaviours(benign!).map(({ goal, category }, row) => request(`jbb-benign-${row}`, category, false, goal)),
    ],
  },
  'jailbreakbench-attacks': {
    title: 'JailbreakBench attack artifacts (PAIR)',
    source: 'Chao et al. 2024, arXiv:2404.01318',
    licence: 'MIT',
    files: ['gpt-3.5-turbo-1106', 'gpt-4-0125-preview', 'llama-2-7b-chat-hf', 'vicuna-13b-v1.5'].map((model) => ({
      paths: [`jailbreakbench/attack-artifacts/PAIR/black_box/${model}.json`],
      url: github(
        `JailbreakBench/artifacts/909e68c01d94222b8ad2e397a017e2e12e2adb73/attack-artifacts/PAIR/black_box/${model}.json`,
      ),
    })),
    // Where an attack gave up there is no prompt.
    parse: (texts) =>
      texts.flatMap((file, model) =>
        parseAttackArtifacts(file).flatMap(({ index, category, goal, prompt }) =>
          prompt === null
            ? []
            : [{ ...request(`jbb-pair-${model}-${index}`, category, true, prompt), goal, attack: `PAIR ${model}` }],
        ),
      ),
  },
  strongreject: {
    title: 'StrongREJECT',
    ...strongReject,
    files: [
      {
        paths: ['strongreject/strongreject.csv', 'strongreject/strongreject_dataset.csv'],
        url: github(`${refusalDirection}/strongreject.csv`),
        sha256: '4dd70357e4ff8b5d0ba5ebafecab5d6dd5633ce8046e3dd1c8bd93e64de44381',
      },
    ],
    parse: ([prompts]) =>
      rowsOfCsv(prompts!, z.object({ category: text, forbidden_prompt: text })).map(
        ({ category, forbidden_prompt }, row) => request(`strongreject-${row}`, category, true, forbidden_prompt),
      ),
  },
  'strongreject-small': {
    title: 'StrongREJECT, small',
    ...strongReject,
    files: [
      {
        paths: ['strongreject/none.json'],
        url: github(
          'jincan333/LLaMA-Factory/e567f7e44ce1326610c606337a7b49bb35cf1a41/data/strongreject_small/none.json',
        ),
        sha256: '9dc95db35bc6ed544543c2ea4849dc8b5017f6eca041881ed9d0199db1060ee1',
      },
    ],
    parse: ([prompts]) => attacked(prompts!).map((row, index) => attackedRequest('strongreject-small', index, row)),
  },
  'strongreject-attacks': {
    title: 'StrongREJECT under attacks',
    ...strongReject,
    files: (
      [
        [
          'none',
          'e825531f06e9bfb4124d237335bf586428371624',
          '89291c2115b40dd60975f20752abce3ef708399689b98c88116b70302d76fb32',
        ],
        [
          'pair',
          'ee45aa61779789e008e6758f49db40d20b219980',
          '69ac79a626b66e6ada2139d2b34421bcbc7bfc667d2e78e35b44262679afd543',
        ],
        [
          'pap_misrepresentation',
          'ee45aa61779789e008e6758f49db40d20b219980',
          'a80df12ccda550d19541d2f7b917781de2a0ce968dc70ebb4e0497fbd97122bc',
        ],
        [
          'combination_2',
          'f7c7fce20d49f6ee1b0b7273c926a9b478491e4e',
          'fc901504aca5e76ccb8a30ccc26b1a1512453ea8583ccc50e651026046e53422',
        ],
        [
          'distractors',
          'f7c7fce20d49f6ee1b0b7273c926a9b478491e4e',
          'cbaab206ea027d4c9dedcfcf9232598960a72e8783099ffbba7fad029b7e4e90',
        ],
        [
          'prefix_injection',
          'f7c7fce20d49f6ee1b0b7273c926a9b478491e4e',
          'b7547f826a08b93ae3c83414dabe0448a193112e0e7c37720dac19b94c2cdd97',
        ],
        [
          'wikipedia',
          'f7c7fce20d49f6ee1b0b7273c926a9b478491e4e',
          'd51908352642f91df17e6aaf081815f3a1cfd617328589f90058f4b8b8260198',
        ],
      ] as const
    ).map(([attack, commit, sha256]) => ({
      paths: [`strongreject/attacks/${attack}.json`],
      url: github(`jincan333/LLaMA-Factory/${commit}/data/strongreject/${attack}.json`),
      sha256,
    })),
    parse: (texts) =>
      texts.flatMap((file) =>
        attacked(file).map((row, index) => attackedRequest(`strongreject-${row.jailbreak}`, index, row)),
      ),
  },
  advbench: {
    title: 'AdvBench',
    source: 'Zou et al. 2023, arXiv:2307.15043',
    licence: 'MIT',
    files: [
      {
        paths: ['advbench/advbench.csv', 'advbench/harmful_behaviors.csv'],
        url: github(`${refusalDirection}/advbench.csv`),
        sha256: '6cd1a5c63c07610d7eb67307772ee5606017ee950b5770ab288a2c487489d3e1',
      },
    ],
    parse: ([prompts]) =>
      rowsOfCsv(prompts!, z.object({ goal: text, target: text })).map(({ goal }, row) =>
        request(`advbench-${row}`, 'harmful behaviours', true, goal),
      ),
  },
  harmbench: {
    title: 'HarmBench, standard behaviours',
    source: 'Mazeika et al. 2024, arXiv:2402.04249',
    licence: 'MIT',
    files: [
      {
        paths: ['harmbench/harmbench_behaviors_text_all.csv'],
        url: github(
          'centerforaisafety/HarmBench/c0423b952435fcc8467108d8f25962dbae5b7de2/data/behavior_datasets/harmbench_behaviors_text_all.csv',
        ),
        sha256: '8d81accedd38eaaf8b760618622bb888417d1fd0c86eba65c427a16f1cbb4afc',
      },
    ],
    // Copyright behaviours need hashes and contextual ones a context: the paper's setting is the standard ones.
    parse: ([behaviors]) =>
      rowsOfCsv(
        behaviors!,
        z.object({ behavior: text, functionalcategory: text, semanticcategory: text, behaviorid: text }),
      )
        .filter(({ functionalcategory }) => functionalcategory === 'standard')
        .map(({ behavior, semanticcategory, behaviorid }) =>
          request(`harmbench-${behaviorid}`, semanticcategory, true, behavior),
        ),
  },
  'hex-phi': {
    title: 'HEx-PHI',
    source: 'Qi et al. 2023, arXiv:2310.03693',
    licence: 'HEx-PHI Dataset License Agreement',
    gated: true,
    // Category 2 was withdrawn by its authors.
    files: [1, 3, 4, 5, 6, 7, 8, 9, 10, 11].map((category) => ({
      paths: [`hex-phi/category_${category}.csv`],
      url: hub(`LLM-Tuning-Safety/HEx-PHI/resolve/main/category_${category}.csv`),
    })),
    parse: (texts) =>
      texts.flatMap((file, index) =>
        // Without a header; commas of a prompt are not always quoted.
        cellsOfCsv(file).map((cells, row) => {
          const prompt = cells.join(',').trim();
          if (prompt === '') throw new Error(`row ${row + 1}, column "1": is empty`);
          return request(`hex-phi-${index}-${row}`, hexPhiCategories[index] ?? `category ${index}`, true, prompt);
        }),
      ),
  },
  'sorry-bench': {
    title: 'SORRY-Bench, base prompts',
    source: 'Xie et al. 2024, arXiv:2406.14598',
    licence: 'SORRY-Bench Dataset License Agreement',
    gated: true,
    files: [
      {
        paths: ['sorry-bench/question.jsonl'],
        url: hub('sorry-bench/sorry-bench-202503/resolve/612a4e1f45db8adf884fa62318ddf9fa1c6e75e9/question.jsonl'),
      },
    ],
    parse: ([questions]) =>
      rowsOfJsonLines(
        questions!,
        z.object({
          question_id: z.union([z.int(), text]),
          category: z.coerce.string(),
          turns: z.array(text).min(1),
          prompt_style: z.string().default('base'),
        }),
      )
        .filter(({ prompt_style }) => prompt_style === 'base')
        .map(({ question_id, category, turns }) => {
          // By number; a copy of one's own may say the name.
          const named = sorryBenchCategories[Number(category) - 1] ?? category;
          return request(`sorry-bench-${question_id}`, named, true, turns[0]!);
        }),
  },
  simplesafetytests: {
    title: 'SimpleSafetyTests',
    source: 'Vidgen et al. 2023, arXiv:2311.08370',
    licence: 'CC BY 4.0',
    files: [
      {
        paths: ['simple_safety_tests/SimpleSafetyTests_test_cases.csv'],
        url: github(
          'bertiev/SimpleSafetyTests/d7aee9a9422a5a5488f478fd79c2479c891c0f3b/SimpleSafetyTests%20-%20test%20cases.csv',
        ),
        sha256: '6d95a1301e0d0f3a3c4cf5392f4afff11ad6e3066f95d23aaa138d44aedf986c',
      },
    ],
    parse: ([cases]) =>
      rowsOfCsv(cases!, z.object({ id: text, harm_area: text, prompts_final: text })).map(
        ({ id, harm_area, prompts_final }) => request(`simplesafetytests-${id}`, harm_area, true, prompts_final),
      ),
  },
  maliciousinstruct: {
    title: 'MaliciousInstruct',
    source: 'Huang et al. 2023, arXiv:2310.06987',
    licence: 'unknown',
    files: [
      {
        paths: ['maliciousinstruct/MaliciousInstruct.txt'],
        url: github(
          'Princeton-SysML/Jailbreak_LLM/1e490531c0ef4bc13430178bf1fbc8f813e34b1a/data/MaliciousInstruct.txt',
        ),
        sha256: 'a64d69dd1004aac4a23aaff3748fb8f17161893f74db36f45b8bc849eb1bcce5',
      },
    ],
    parse: ([lines]) => {
      const prompts = lines!.split('\n').flatMap((line) => line.trim() || []);
      if (prompts.length !== 100) throw new Error(`holds ${prompts.length} lines, not 100`);
      return prompts.map((prompt, row) => request(`maliciousinstruct-${row}`, 'malicious instructions', true, prompt));
    },
  },
  wildjailbreak: {
    title: 'WildJailbreak, evaluation split',
    source: 'Jiang et al. 2024, arXiv:2406.18510',
    licence: "ODC-BY, with AI2's Responsible Use Guidelines",
    gated: true,
    files: [
      {
        paths: ['wildjailbreak/eval.tsv', 'wildjailbreak/eval/eval.tsv'],
        url: hub('allenai/wildjailbreak/resolve/5ddc12a7894f842b0619b8e1c7ee496b198af009/eval/eval.tsv'),
        sha256: 'eeb7e43aafa0151588f5cb8994b99adc0ee34a57819d92f43a6084f0b7fe4fa4',
      },
    ],
    parse: ([rows]) =>
      rowsOfCsv(
        rows!,
        z.object({ adversarial: text, data_type: z.enum(['adversarial_harmful', 'adversarial_benign']) }),
        '\t',
      ).map(({ adversarial, data_type }, row) =>
        request(`wildjailbreak-${row}`, data_type, data_type === 'adversarial_harmful', adversarial),
      ),
  },
  'or-bench': {
    title: 'OR-Bench, hard and toxic',
    source: 'Cui et al. 2024, arXiv:2405.20947',
    licence: 'CC BY 4.0',
    files: Object.entries({
      'or-bench-hard-1k': 'a6e2f1166416efe5901f3bb05c47dc92ab3aca3acfe143693d38b8057d841e6d',
      'or-bench-toxic': '3be45901faae3b4b2b51bf7f8a2784c1650a1cc8c631dbc8b171d5312d4e0057',
    }).map(([name, sha256]) => ({
      paths: [`or-bench/${name}.csv`],
      url: hub(`bench-llm/or-bench/resolve/e36d8b80e81837c8a8f264bbb2a49f1b32c7e272/${name}.csv`),
      sha256,
    })),
    parse: (texts) =>
      texts.flatMap((file, index) =>
        rowsOfCsv(file, z.object({ prompt: text, category: text })).map(({ prompt, category }, row) =>
          request(`or-bench-${index === 0 ? 'hard' : 'toxic'}-${row}`, category, index === 1, prompt),
        ),
      ),
  },
  oktest: {
    title: 'OKTest',
    source: 'Shi et al. 2024, arXiv:2401.17633',
    licence: 'unknown',
    files: [
      {
        paths: ['oktest/OKTest.csv'],
        url: github('InvokerStark/OverKill/9551a7ff7b2cb18d178e64fb5cc95e4684311b3b/data/OKTest.csv'),
        sha256: '1be3e8d3fe6b45a170653da63c8cf70dbf97508a48735e65db0713a44e158860',
      },
    ],
    parse: ([prompts]) =>
      rowsOfCsv(prompts!, z.object({ prompt: text })).map(({ prompt }, row) =>
        request(`oktest-${row}`, 'safe questions with dangerous words', false, prompt),
      ),
  },
};

function behaviours(csv: string): { goal: string; category: string }[] {
  return rowsOfCsv(csv, z.object({ goal: text, category: text }));
}

type AttackedRow = z.infer<typeof attackedRow>;
const attackedRow = z.object({ category: text, forbidden_prompt: text, jailbroken_prompt: text, jailbreak: text });

function attacked(json: string): AttackedRow[] {
  return rowsOfJson(json, attackedRow);
}

function attackedRequest(prefix: string, index: number, row: AttackedRow): BenchmarkRequest {
  const made = request(`${prefix}-${index}`, row.category, true, row.jailbroken_prompt);
  return row.jailbreak === 'none' ? made : { ...made, goal: row.forbidden_prompt, attack: row.jailbreak };
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
