/** Plans chains whose texts are there already, by a teacher or from a deliberation: what is left is to make them tokens of the policy. */
import type { ChainRecord } from '../alignment/chains/chain.ts';
import type { Configuration } from '../alignment/configuration/schema.ts';
import { ApplicationFailure } from '@temporalio/activity';
import type { ArtifactRef, Figures, RunContext, ShardedPlan } from './types.ts';
import { writtenTexts, type WrittenText } from './askTeacher.ts';
import type { ActivityDependencies } from './dependencies.ts';
import { publishDerivedPlan } from './derivedPlan.ts';
import { readConfiguration, readJson, readLines } from './inputs.ts';
import type { GenerationItem, GenerationPlan } from './plans.ts';
import { operatorFailure } from './stage.ts';

export interface WrittenPlan extends ShardedPlan {
  /** What the writing has come to. */
  figures: Figures;
}

/** The plan of the chains that the teacher has written for the prompts of `plan`. */
export async function planWrittenChains(
  dependencies: ActivityDependencies,
  run: RunContext,
  { plan: planRef }: { plan: ArtifactRef },
): Promise<WrittenPlan> {
  const { store } = dependencies;
  const configuration = await readConfiguration(store, run);
  const plan = await readJson<GenerationPlan>(store, planRef);
  const { texts, figures } = await teacherTexts(dependencies, plan, configuration);
  return { ...(await publishWrittenPlan(dependencies, plan, texts, { plan: planRef })), figures };
}

/** Texts by their sample, with what it has cost to have them written. */
export async function teacherTexts(
  dependencies: ActivityDependencies,
  plan: GenerationPlan,
  configuration: Configuration,
): Promise<{ texts: Map<string, WrittenText>; figures: Figures }> {
  const texts = new Map<string, WrittenText>();
  const shards: Figures[] = [];
  for (const shard of plan.shards.keys()) {
    const manifest = await writtenTexts(dependencies, plan, shard, configuration);
    if (!manifest) throw missing(`the teacher's texts of shard ${shard}`, dependencies);
    shards.push(manifest.figures as Figures);
    for (const text of await readLines<WrittenText>(dependencies.store, manifest.outputs['texts']!)) {
      texts.set(sampleId(text), text);
    }
  }
  return { texts, figures: addTeacherFigures(shards) };
}

/** @throws ApplicationFailure */
export function missing(what: string, { store }: ActivityDependencies): ApplicationFailure {
  return ApplicationFailure.retryable(
    `${what} are not in the store ${store.uri}: was an artifact removed?`,
    'ShardMissing',
  );
}

/** Counts and costs add up; the mean latency is that of all questions. */
export function addTeacherFigures(parts: readonly Figures[]): Figures {
  const sum = (name: string): number => parts.reduce((total, figures) => total + (figures[name] ?? 0), 0);
  const asked = sum('teacher/asked');
  const latencyMs = parts.reduce(
    (total, figures) => total + (figures['teacher/mean_latency_ms'] ?? 0) * (figures['teacher/asked'] ?? 0),
    0,
  );
  return {
    ...Object.fromEntries(
      ['teacher/asked', 'teacher/kept', 'teacher/cost', 'teacher/unanswered'].map((name) => [name, sum(name)]),
    ),
    'teacher/mean_latency_ms': asked === 0 ? 0 : latencyMs / asked,
  };
}

export const sampleId = ({ requestId, sampleIndex }: Pick<ChainRecord, 'requestId' | 'sampleIndex'>): string =>
  `${requestId}#${sampleIndex}`;

/** The samples of the plan with these texts in place of seeds; samples without a text are left out. */
export async function publishWrittenPlan(
  dependencies: ActivityDependencies,
  plan: GenerationPlan,
  texts: ReadonlyMap<string, WrittenText>,
  writtenFrom: NonNullable<GenerationPlan['writtenFrom']>,
): Promise<ShardedPlan> {
  const written = await publishDerivedPlan(dependencies, plan, (item) => withTexts(item, texts), writtenFrom);
  if (written.items === 0) throw operatorFailure('Teacher', 'no chain was written: the log says why');
  return written;
}

function withTexts(item: GenerationItem, texts: ReadonlyMap<string, WrittenText>): GenerationItem[] {
  return item.seeds.flatMap((_, index) => {
    const sampleIndex = item.firstSample + index;
    const written = texts.get(sampleId({ requestId: item.requestId, sampleIndex }));
    if (!written || written.text === null) return [];
    return [{ ...item, seeds: [], firstSample: sampleIndex, written: written.text, cut: written.cut }];
  });
}
