/** What a study will take, in words: `cada compare --dry-run`. */
import prettyBytes from 'pretty-bytes';
import { escapeForTerminal } from '../infra/logging/escape.ts';
import type { DryRun } from './operate/compareDryRun.ts';
import { plainTable } from './terminal.ts';

export function describeDryRun({ name, units, suites, answersPerUnit, calls, unchecked }: DryRun): string {
  const count = (number: number): string => (number === 0 ? '' : number.toLocaleString('en'));
  const runs = new Set(units.flatMap(({ runId }) => runId ?? []));
  const rows = units.map(({ unit, runId, tokens, memoryBytes }) => [
    ...[unit, runId ?? 'not trained', count(tokens.answers), count(tokens.chains), count(tokens.trained)],
    memoryBytes === null ? '?' : prettyBytes(memoryBytes),
  ]);
  const total = (of: (one: DryRun['units'][number]) => number): string =>
    units.reduce((sum, one) => sum + of(one), 0).toLocaleString('en');
  const lines = [
    `study ${name}: ${units.length} units, ${runs.size} runs to train, ${answersPerUnit.toLocaleString('en')} answers a unit`,
    ...suites.map(
      ({ suite, questions, harmful, read }) =>
        `  ${suite}: ${questions} questions, ${harmful} of them harmful${read ? '' : ' (as published)'}`,
    ),
    '',
    plainTable(['unit', 'run', 'tokens of answers', 'of chains', 'trained', 'memory from'], rows, [2, 3, 4, 5]),
    '',
    `at most ${total(({ tokens }) => tokens.answers)} tokens of answers and ${total(({ tokens }) => tokens.chains)} of chains (stages that arms share are counted in each)`,
    `memory: weights, and what training keeps of each, in 32-bit floats; activations come on top`,
    ...(calls.judge > 0 ? [`judge: at most ${count(calls.judge)} calls`] : []),
    ...(calls.attacker > 0 ? [`attacker: at most ${count(calls.attacker)} calls`] : []),
    '',
    ...(unchecked.length === 0
      ? ['Everything was checked that can be before a run.']
      : ['Checked: the file and the settings of every arm. Not checked:', ...unchecked.map((one) => `  ${one}`)]),
  ];
  return escapeForTerminal(lines.join('\n'));
}
