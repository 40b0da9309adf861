/** Plans generation: which requests, which codes and cases in their prompts, which seeds, cut into shards. */
import type { Configuration } from '../alignment/configuration/schema.ts';
import { validatorSettings } from '../alignment/configuration/validator.ts';
import { formatAnswer } from '../alignment/chains/chain.ts';
import { reasoningTurnOf } from '../alignment/chains/reasoningTurn.ts';
import { sampleCases as chooseCases } from '../alignment/cases/sampleCases.ts';
import { iterationRequests, refillRequests, selectRequests } from '../alignment/evaluation/selectRequests.ts';
import type { TextVectors } from '../alignment/cases/similarity.ts';
import { usesEmbeddings } from '../alignment/configuration/caseSampling.ts';
import type { Case, Library, SafetyRequest } from '../alignment/library/library.ts';
import { samplersOf, type Samplers } from '../alignment/configuration/samplers.ts';
import { writtenRefusal } from '../alignment/cases/writtenRefusal.ts';
import { guidedPrompt, promptSettings, rawPrompt } from '../alignment/prompts/guidedPrompt.ts';
import { deriveSeed } from '../infra/artifacts/seeds.ts';
import type { ArtifactStore } from '../infra/artifacts/artifactStore.ts';
import type { ArtifactRef, GenerationPurpose, RunContext, ShardedPlan } from './types.ts';
import type { ActivityDependencies } from './dependencies.ts';
import { unembeddedPlan, vectorsFor } from './embedTexts.ts';
import { readConfiguration, readJson, readLibrary } from './inputs.ts';
import type { GenerationItem, GenerationPlan, GenerationShard } from './plans.ts';
import { publishGeneration } from './publishGeneration.ts';

export async function sampleCases(
  { store }: ActivityDependencies,
  run: RunContext,
  purpose: GenerationPurpose,
  /** Makes the vectors where cases are chosen by embeddings. */
  model?: ArtifactRef,
): Promise<ShardedPlan> {
  const configuration = await readConfiguration(store, run);
  const library = await readLibrary(store, run);
  const refilled = purpose.kind === 'iteration' ? (purpose.refill?.after ?? []) : [];
  const used = await requestsOf(store, refilled);
  const plannedWith = (choose: CaseChoice): PlannedItems => plannedItems(configuration, library, purpose, used, choose);
  let vectors: TextVectors | undefined;
  if (usesEmbeddings(configuration.cases)) {
    const guided: string[] = [];
    plannedWith(({ request }) => (guided.push(request), []));
    const found = await vectorsFor(store, configuration, library.cases, guided, model);
    if ('unembedded' in found) return unembeddedPlan(found.unembedded);
    ({ vectors } = found);
  }
  const {
    items,
    benchmarkItems = [],
    temperature,
    samplers = {},
    weights,
  } = plannedWith((request, seed) => chooseCases(library, request, configuration.cases, seed, vectors));

  const reasoning = reasoningTurnOf(configuration.chain);
  const size = configuration.shards.generationRequests;
  const shards = [...shardsOf(items, size), ...shardsOf(benchmarkItems, size)].map((group): GenerationShard => ({
    sampling: { temperature, maxNewTokens: configuration.chain.maxNewTokens, ...samplers },
    ...(weights ? { weights } : {}),
    ...(reasoning ? { reasoning } : {}),
    items: group,
  }));
  return {
    ...(await publishGeneration(store, { purpose }, shards)),
    ...(purpose.kind === 'warmStart' && configuration.warmStart.source
      ? { source: configuration.warmStart.source }
      : {}),
    ...(asksForFaithfulness(configuration, purpose) ? { faithfulness: true as const } : {}),
    ...(purpose.kind === 'iteration' && configuration.iteration.preference?.badBelief
      ? { badBeliefs: true as const }
      : {}),
  };
}

/** The untouched model writes hardly an analysis from the raw request. */
const asksForFaithfulness = ({ evaluation }: Configuration, purpose: GenerationPurpose): boolean =>
  evaluation.faithfulness !== undefined &&
  purpose.kind === 'evaluation' &&
  purpose.set === 'full' &&
  purpose.name !== 'before';

const trainingFile = 'requests/training.jsonl';

type CaseChoice = (request: SafetyRequest, seed: string) => Case[];

interface PlannedItems {
  items: GenerationItem[];
  /** Kept in shards of their own, so that a benchmark more or less changes none of the others. */
  benchmarkItems?: GenerationItem[];
  temperature: number;
  /** Options of the sampler that are set; absent ones are no part of a shard. */
  samplers?: Samplers;
  weights?: GenerationShard['weights'];
}

/** Ids of the requests in generation plans. */
async function requestsOf(store: ArtifactStore, plans: readonly ArtifactRef[]): Promise<ReadonlySet<string>> {
  const ids = new Set<string>();
  for (const ref of plans) {
    for (const { shard } of (await readJson<GenerationPlan>(store, ref)).shards) {
      for (const { requestId } of (await readJson<GenerationShard>(store, shard)).items) ids.add(requestId);
    }
  }
  return ids;
}

function plannedItems(
  configuration: Configuration,
  library: Library,
  purpose: GenerationPurpose,
  used: ReadonlySet<string>,
  choose: CaseChoice,
): PlannedItems {
  const { seed, evaluation, warmStart, iteration } = configuration;
  if (purpose.kind === 'evaluation') {
    // Probe and full set are the same for every policy, so that before and after are paired.
    const counts = purpose.set === 'probe' ? evaluation.probe : evaluation.requests;
    const requests = selectRequests(
      library.requests[evaluation.split],
      counts,
      `${seed}/evaluation`,
      `requests/${evaluation.split}.jsonl`,
    );
    const greedy = (request: SafetyRequest): GenerationItem => rawItem(request, 0, ['']);
    return {
      temperature: 0,
      items: requests.map(greedy),
      benchmarkItems: purpose.set === 'full' ? Object.values(library.benchmarks).flat().map(greedy) : [],
    };
  }
  if (purpose.kind === 'validation') {
    // The same for every policy, and never what is evaluated or trained on in the end.
    const { requests } = validatorSettings(iteration.preference);
    return {
      temperature: 0,
      items: selectRequests(
        library.requests.development,
        requests,
        `${seed}/validation`,
        'requests/development.jsonl',
      ).map((request) => rawItem(request, 0, [''])),
    };
  }
  if (purpose.kind === 'warmStart') {
    const requests = selectRequests(library.requests.training, warmStart.requests, `${seed}/warm-start`, trainingFile);
    const items = requests.map((request) => {
      if (warmStart.target === 'refusal' && request.label === 'harmful')
        return {
          ...rawItem(request, 0, []),
          written: formatAnswer(writtenRefusal(library.cases, request, warmStart.refusal), configuration.chain),
        };
      const seeds = seedsFor(configuration, 'warm-start', request, 0, warmStart.samplesPerRequest);
      return warmStart.target === 'refusal'
        ? rawItem(request, 0, seeds)
        : guidedItem(configuration, library, request, 'warm-start', 0, seeds, choose);
    });
    return {
      items,
      temperature: warmStart.temperature,
      samplers: samplersOf(warmStart),
      weights: warmStart.generationWeights,
    };
  }
  const round = `iteration-${purpose.iteration}.${purpose.epoch}`;
  const { training } = library.requests;
  const requests = purpose.refill
    ? refillRequests(
        training,
        { own: iteration.requests, further: purpose.refill.missing },
        purpose.iteration,
        `${seed}/iterations`,
        used,
      )
    : iterationRequests(training, iteration.requests, purpose.iteration, `${seed}/iterations`, trainingFile);
  const group = iteration.samplesPerRequest;
  const guided = { raw: 0, cases: group, mixed: Math.floor(group / 2) }[iteration.guidance];
  const items = requests.flatMap((request) => {
    const seeds = seedsFor(configuration, round, request, 0, group);
    return [
      ...(guided > 0 ? [guidedItem(configuration, library, request, round, 0, seeds.slice(0, guided), choose)] : []),
      ...(guided < group ? [rawItem(request, guided, seeds.slice(guided))] : []),
    ];
  });
  return {
    items,
    temperature: iteration.temperature,
    samplers: samplersOf(iteration),
    weights: iteration.generationWeights,
  };
}

function seedsFor(
  configuration: Configuration,
  round: string,
  request: SafetyRequest,
  first: number,
  count: number,
): string[] {
  return Array.from({ length: count }, (_, sample) =>
    deriveSeed(configuration.seed, round, request.id, first + sample, 'sampling'),
  );
}

function rawItem(request: SafetyRequest, firstSample: number, seeds: string[]): GenerationItem {
  const raw = rawPrompt(request);
  return {
    requestId: request.id,
    rawMessages: raw.messages,
    guidance: 'raw',
    caseIds: [],
    messages: raw.messages,
    sharedMessages: raw.sharedMessages,
    firstSample,
    seeds,
  };
}

function guidedItem(
  configuration: Configuration,
  library: Library,
  request: SafetyRequest,
  round: string,
  firstSample: number,
  seeds: string[],
  choose: CaseChoice,
): GenerationItem {
  const cases = choose(request, deriveSeed(configuration.seed, round, 'cases'));
  const guided = guidedPrompt(request, cases, library.codes, promptSettings(configuration));
  return {
    requestId: request.id,
    rawMessages: rawPrompt(request).messages,
    guidance: 'cases',
    caseIds: cases.map((one) => one.id),
    messages: guided.messages,
    sharedMessages: guided.sharedMessages,
    firstSample,
    seeds,
  };
}

/** Items with equal shared messages stand together, so that a shard computes few prefixes; their order is otherwise kept. */
function shardsOf(items: GenerationItem[], size: number): GenerationItem[][] {
  const groups = new Map<string, GenerationItem[]>();
  for (const item of items) {
    const prefix = JSON.stringify(item.messages.slice(0, item.sharedMessages));
    const group = groups.get(prefix);
    if (group) group.push(item);
    else groups.set(prefix, [item]);
  }
  const ordered = [...groups.values()].flat();
  return Array.from({ length: Math.ceil(ordered.length / size) }, (_, shard) =>
    ordered.slice(shard * size, (shard + 1) * size),
  );
}
