/** The card of an imported library: where its requests come from, under which licence, and how they were chosen. */
import { publishedSplit } from '../../alignment/library/beaverTails/publishedFiles.ts';
import { escapeMarkdown } from '../../alignment/report/markdown.ts';
import type { ImportRequest, ImportResult } from './importBeaverTails.ts';

export const beaverTailsLicence =
  'CC BY-NC 4.0 (not for commercial use): https://creativecommons.org/licenses/by-nc/4.0/';

export function libraryCard(result: ImportResult, { rows, perHazard, seed }: ImportRequest): string {
  const { inputs, unsafeRows, prompts, repeated, counts, training, leftOut, classifier } = result;
  const left = Object.entries(leftOut).map(([name, count]) => `${count} ${name}`);
  const questions = Object.entries(repeated).map(([name, count]) => `${count} of ${name}`);
  return `${[
    '# Library with requests of BeaverTails',
    'Harmful requests: prompts of BeaverTails (Ji et al. 2023, arXiv:2307.04657; https://huggingface.co/datasets/PKU-Alignment/BeaverTails) whose answers people found unsafe. Harmless requests, codes, cases and judges: the library that ships with CADA.',
    `Licence of the harmful requests: ${beaverTailsLicence}. Keep them to yourself: they ask for harmful things, and are no part of CADA.`,
    ['| file | rows | SHA-256 | published as |', '| --- | --- | --- | --- |']
      .concat(
        inputs.map(
          ({ name, rows: own, sha256 }) =>
            `| ${escapeMarkdown(name)} | ${own} | ${sha256} | ${publishedSplit(sha256) ?? 'not as it is'} |`,
        ),
      )
      .join('\n'),
    `Of ${unsafeRows} unsafe rows, ${prompts} different prompts${questions.length > 0 ? ` without those that repeat a benchmark's question, exactly, nearly or in part (${questions.join(', ')})` : ''}; hazards told by ${escapeMarkdown(classifier)}; left out: ${left.join(', ')}. Chosen with seed ${seed}: at most ${perHazard} a hazard and ${rows} in all for training, and others for development and held out. Requests with \`repeatOf\` stand once more, where a hazard has too few.`,
    ['| hazard | prompts | different in training | training |', '| --- | --- | --- | --- |']
      .concat(counts.map((one) => `| ${one.hazard} | ${one.prompts} | ${one.different} | ${one.training} |`))
      .concat([`| all | | | ${training} |`])
      .join('\n'),
  ].join('\n\n')}\n`;
}
