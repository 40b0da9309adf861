/** The white-box attack on one question: a suffix is searched for with the gradients of the policy, and kept every so many steps. */
import { reasoningTags, reasoningTurnOf } from '../alignment/chains/reasoningTurn.ts';
import type { SuiteQuestion } from '../alignment/benchmarks/suites.ts';
import type { Library } from '../alignment/library/library.ts';
import type { ChatMessage } from '../alignment/prompts/guidedPrompt.ts';
import type { TextVectors } from '../alignment/cases/similarity.ts';
import { usesEmbeddings } from '../alignment/configuration/caseSampling.ts';
import { armPrompt } from '../alignment/study/armPrompt.ts';
import type { SuffixSearchRequest, SuffixState } from '../engine/attack/suffixRequest.ts';
import { canonicalJson } from '../infra/artifacts/canonicalJson.ts';
import { sha256 } from '../infra/artifacts/digest.ts';
import { readStep, stepKey, type StepManifest } from '../infra/artifacts/steps.ts';
import { readAttack, type AttackInput, type AttackReport, type ReadAttack } from './attackInputs.ts';
import type { ActivityDependencies, GpuDependencies } from './dependencies.ts';
import { vectorsFor } from './embedTexts.ts';
import { engineSettings, localPolicy, policyInputs, readJson, readLibrary } from './inputs.ts';
import type { ModelManifest } from './plans.ts';
import { deviceFigures, operatorFailure, runStage, withEngine, type Stage } from './stage.ts';
import type { Figures, PolicyState, RunContext } from './types.ts';

export interface SuffixInput extends AttackInput {
  policy: PolicyState;
}

/** What a part of the search leaves. */
export interface FoundSuffix {
  state: SuffixState;
  text: string;
}

/** @param input `index` counts the questions that are attacked. */
export async function searchSuffix(
  dependencies: GpuDependencies,
  run: RunContext,
  input: SuffixInput & { index: number },
): Promise<AttackReport> {
  const { store } = dependencies;
  const search = await openSearch(dependencies, run, input);
  const { settings, configuration } = search;
  const { messages, stages } = search.of(input.index);
  const template = templateOf(configuration);
  const manifests: (StepManifest & { cached: boolean })[] = [];
  let found: FoundSuffix | undefined;
  for (const [until, stage] of stages) {
    const state = found?.state;
    const manifest = await runStage(dependencies, stage, async () => {
      const engine = dependencies.engineFor(engineSettings(dependencies, configuration));
      if (!engine.searchSuffix) throw operatorFailure('Attack', 'gcg needs the weights: this engine only generates');
      const policy = await localPolicy(dependencies, configuration, input.policy);
      const startedAt = performance.now();
      const { gcg } = settings;
      const result = await withEngine(engine, (onProgress) =>
        engine.searchSuffix!(
          {
            ...{ policy, messages, mark, until, ...template },
            target: gcg.target,
            settings: { length: gcg.suffixTokens, topK: gcg.topK, batch: gcg.batch, seed: search.seedOf(input.index) },
            ...(state ? { state } : {}),
          },
          onProgress,
        ),
      );
      const left: FoundSuffix = { state: result.state, text: result.text };
      return {
        outputs: { suffix: { bytes: canonicalJson(left), kind: 'attack-suffix' } },
        figures: {
          tokens: result.tokens,
          seconds: (performance.now() - startedAt) / 1000,
          peakMemoryBytes: await engine.peakMemoryBytes(),
          ...deviceFigures(dependencies, engine),
        },
      };
    });
    manifests.push(manifest);
    found = await readJson<FoundSuffix>(store, manifest.outputs['suffix']!);
    if (found.state.reached) break;
  }
  const sum = (name: string): number =>
    manifests.reduce((total, { figures }) => total + ((figures[name] as number | undefined) ?? 0), 0);
  const { step, initialLoss, bestLoss, reached } = found!.state;
  const gcg: Figures = {
    questions: 1,
    tokens: sum('tokens'),
    seconds: sum('seconds'),
    steps: step,
    reached: Number(reached),
    initialLoss,
    bestLoss,
  };
  const cached = manifests.every((one) => one.cached);
  return { cached, tokens: gcg['tokens']!, seconds: gcg['seconds']!, costs: { gcg } };
}

/** The suffix that the search of a question has ended with. @throws Error where it is not in the store. */
export async function foundSuffix(
  dependencies: ActivityDependencies,
  run: RunContext,
  input: SuffixInput,
): Promise<(index: number) => Promise<string>> {
  const { store } = dependencies;
  const search = await openSearch(dependencies, run, input);
  return async (index) => {
    let found: FoundSuffix | undefined;
    for (const [, stage] of search.of(index).stages) {
      const manifest = await readStep(store, stepKey(stage));
      if (!manifest) break;
      found = await readJson<FoundSuffix>(store, manifest.outputs['suffix']!);
      if (found.state.reached) break;
    }
    if (!found) throw new Error(`the suffix of question ${index} is not in the store: was an artifact removed?`);
    return found.text;
  };
}

/** Private use: no question and no template has it. */
const mark = '\u{f8ff}suffix\u{f8ff}';

interface Search extends ReadAttack {
  seedOf(index: number): string;
  of(index: number): { messages: ChatMessage[]; stages: [until: number, stage: Stage][] };
}

async function openSearch(dependencies: ActivityDependencies, run: RunContext, input: SuffixInput): Promise<Search> {
  const { store } = dependencies;
  const read = await readAttack(dependencies, run, input);
  const { configuration, goals, settings } = read;
  const library = input.arm ? await readLibrary(store, run) : undefined;
  const vectors = library ? await vectorsOf(store, input, library, read) : undefined;
  const model = await readJson<ModelManifest>(store, input.policy.model);
  const { checkpointSteps, steps, ...gcg } = settings.gcg;
  const checkpoints = Array.from({ length: Math.ceil(steps / checkpointSteps) }, (_, index) =>
    Math.min(steps, (index + 1) * checkpointSteps),
  );
  const seedOf = (index: number): string => `${configuration.seed}/${goals[index]!.id}`;
  return {
    ...read,
    seedOf,
    of(index) {
      const messages = markedMessages(goals[index]!, input, library, configuration, vectors);
      // One step after another of the same search: where it stands at `until` follows from the rest.
      const inputs = {
        ...policyInputs(configuration, model, input.policy),
        ...templateOf(configuration),
        ...{ gcg, messages: sha256(canonicalJson(messages)), seed: seedOf(index) },
      };
      return {
        messages,
        stages: checkpoints.map((until) => [
          until,
          { stage: 'searchSuffix', version: 3, inputs: { ...inputs, until } },
        ]),
      };
    },
  };
}

/** What cases are chosen by, where that is nearness: the workflow has seen to it that they are in the store (workflows/attacks.ts). */
async function vectorsOf(
  store: ActivityDependencies['store'],
  { arm, policy }: SuffixInput,
  library: Library,
  { configuration, questions }: ReadAttack,
): Promise<TextVectors | undefined> {
  if (!arm || !usesEmbeddings({ ...arm, count: arm.cases })) return undefined;
  const goals = questions.map(({ goal }) => goal);
  const found = await vectorsFor(store, configuration, library.cases, goals, policy.model);
  if ('unembedded' in found) throw new Error('the vectors of the questions are not in the store: were they removed?');
  return found.vectors;
}

/** The model's turn as the chain format has it begin. */
function templateOf({ chain }: ReadAttack['configuration']): Pick<SuffixSearchRequest, 'template'> {
  const reasoning = reasoningTurnOf(chain);
  if (!reasoning) return {};
  const { thinking } = reasoning;
  const templateVariables = thinking === undefined ? {} : { templateVariables: { enable_thinking: thinking } };
  return { template: { keptTags: reasoningTags, ...templateVariables } };
}

/** The dialogue as the policy will be asked, with the mark behind the request. */
function markedMessages(
  question: SuiteQuestion,
  { arm }: AttackInput,
  library: Library | undefined,
  { chain, seed }: ReadAttack['configuration'],
  vectors: TextVectors | undefined,
): ChatMessage[] {
  const prompt = `${question.prompt}${mark}`;
  if (!arm || !library) return [{ role: 'user', content: prompt }];
  return armPrompt({ ...question, prompt }, arm, library, chain, String(seed), vectors).messages;
}
