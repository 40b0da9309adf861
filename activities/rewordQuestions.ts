/** Questions reworded before they are asked: by techniques of persuasion, and in another language. */
import { searchedAttackNames, type SearchedAttackName } from '../alignment/attacks/attackNames.ts';
import { readMarked } from '../alignment/attacks/attackerReply.ts';
import { persuasionQuestion } from '../alignment/attacks/persuasion.ts';
import { translationQuestion } from '../alignment/attacks/translation.ts';
import type { SuiteQuestion } from '../alignment/benchmarks/suites.ts';
import { attackerInputs } from '../alignment/configuration/attacks.ts';
import { readStep, stepKey } from '../infra/artifacts/steps.ts';
import {
  attackedQuestion,
  readAttack,
  type AttackCosts,
  type AttackInput,
  type AttackReport,
  type ReadAttack,
} from './attackInputs.ts';
import { openAttacker } from './attacker.ts';
import type { ActivityDependencies } from './dependencies.ts';
import { readLines, toLines } from './inputs.ts';
import { withHeartbeats } from './pulse.ts';
import { runStage, type Stage } from './stage.ts';
import type { Figures, RunContext } from './types.ts';

/** Questions of a shard. */
const shardSize = 16;

export const rewordingShards = (goals: number): number => Math.ceil(goals / shardSize);

/** Asks the attacker for one shard of questions. One that it does not reword is left out, and counted. */
export async function rewordQuestions(
  dependencies: ActivityDependencies,
  run: RunContext,
  input: AttackInput & { shard: number },
): Promise<AttackReport> {
  const read = await readAttack(dependencies, run, input);
  const manifest = await runStage(dependencies, rewordingStage(read, input.shard), () =>
    withHeartbeats(async () => {
      const startedAt = performance.now();
      const questions: SuiteQuestion[] = [];
      const figures: Record<string, unknown> = {};
      for (const { attack, wordings } of rewordings(read)) {
        const attacker = openAttacker(dependencies.store, run, read.settings.attacker);
        const jobs = shardOf(read, input.shard).flatMap((question) =>
          wordings.map((wording) => ({ question, ...wording })),
        );
        const said = await Promise.all(
          jobs.map(({ question, ask }) => attacker.ask({ messages: ask(question.goal), temperature: 0 }, readMarked)),
        );
        said.forEach((answer, index) => {
          const { question, name } = jobs[index]!;
          if ('text' in answer) questions.push(attackedQuestion(question, name, answer.text));
        });
        figures[attack] = { questions: jobs.length, ...attacker.figures() } satisfies Figures;
      }
      return {
        outputs: { questions: { bytes: toLines(questions), kind: 'suite-questions' } },
        figures: { costs: figures, seconds: (performance.now() - startedAt) / 1000 },
      };
    }),
  );
  const { costs, seconds } = manifest.figures as { costs: AttackCosts; seconds: number };
  return { cached: manifest.cached, tokens: 0, seconds, costs };
}

/** The questions that all shards have left. */
export async function rewordedQuestions({ store }: ActivityDependencies, read: ReadAttack): Promise<SuiteQuestion[]> {
  const questions: SuiteQuestion[] = [];
  for (let shard = 0; shard < rewordingShards(read.goals.length); shard++) {
    const manifest = await readStep(store, stepKey(rewordingStage(read, shard)));
    if (!manifest) throw new Error(`the reworded questions of shard ${shard} are not in the store: were they removed?`);
    questions.push(...(await readLines<SuiteQuestion>(store, manifest.outputs['questions']!)));
  }
  return questions;
}

const shardOf = ({ goals }: ReadAttack, shard: number): SuiteQuestion[] =>
  goals.slice(shard * shardSize, (shard + 1) * shardSize);

/** The ways in which each question is put. */
function rewordings({ names, settings: { pap, translation } }: ReadAttack) {
  const ways: Partial<
    Record<SearchedAttackName, { name: string; ask: (goal: string) => ReturnType<typeof translationQuestion> }[]>
  > = {
    pap: pap.techniques.map((technique) => ({
      name: `pap-${technique}`,
      ask: (goal) => persuasionQuestion(goal, technique),
    })),
    translation: [{ name: 'translation', ask: (goal) => translationQuestion(goal, translation.language) }],
  };
  return searchedAttackNames.flatMap((attack) => {
    const wordings = names.includes(attack) ? ways[attack] : undefined;
    return wordings ? [{ attack, wordings }] : [];
  });
}

function rewordingStage(read: ReadAttack, shard: number): Stage {
  const { attacker, pap, translation } = read.settings;
  return {
    stage: 'rewordQuestions',
    version: 1,
    inputs: {
      questions: shardOf(read, shard).map(({ id, suite, category, goal }) => [id, suite, category, goal]),
      ...(read.names.includes('pap') ? { pap } : {}),
      ...(read.names.includes('translation') ? { language: translation.language } : {}),
      attacker: attacker ? attackerInputs(attacker) : null,
    },
  };
}
