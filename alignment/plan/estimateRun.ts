/**
 * What a run will take, before it does anything: stages with their chains, tokens and time; memory, bytes and requests of the store, actions on the
 * Temporal server, calls of a judge and what they cost.
 */
import { costOfCalls } from '../configuration/endpoint.ts';
import { asksGuardModel } from '../configuration/optionalRewards.ts';
import type { Configuration } from '../configuration/schema.ts';
import { chainWriting, gradedAnswers, teacherCost } from './chainWriting.ts';
import { measuredRates } from './measuredRates.ts';
import { planned, type PlannedStage, type Work } from './plannedStage.ts';
import {
  activities,
  adapterBytes,
  badBeliefs,
  childWorkflow,
  embedding,
  evaluated,
  faithfulness,
  generation,
  grading,
  total,
  training,
  utility,
  validation,
} from './stageWork.ts';

export interface RunEstimate {
  stages: PlannedStage[];
  seconds: number;
  generatedTokens: number;
  trainedTokens: number;
  /** Store and local copies of the model. */
  diskBytes: number;
  storeBytes: number;
  storeRequests: number;
  /** Largest resident memory of the engine. */
  memoryBytes: number;
  temporalActions: number;
  /** Of one iteration, whatever its number: the history does not grow with it. */
  temporalActionsPerIteration: number;
  judgeCalls: number;
  /** By the two prices of the judge, with replies as long as they may be; null where there are calls but no prices. */
  judgeCost: number | null;
  teacherCalls: number;
  /** Likewise, by the prices of the teacher. */
  teacherCost: number | null;
}

const defaultModel = { parameters: 135e6, bytesPerParameter: 4 };

export function estimateRun(configuration: Configuration): RunEstimate {
  const { warmStart, iteration, evaluation, shards, judge } = configuration;
  const weightBytes = defaultModel.parameters * defaultModel.bytesPerParameter;
  const evaluate = (stage: string, ...further: Work[]): PlannedStage =>
    planned(
      stage,
      1,
      ...further,
      generation(configuration, evaluated(evaluation), 'raw'),
      utility(configuration),
      grading(configuration, Math.ceil(evaluated(evaluation) / shards.generationRequests), {
        harmful: gradedAnswers(evaluation),
        all: evaluated(evaluation),
      }),
      activities({ temporalActions: 1, storeRequests: 8 }),
      childWorkflow,
    );
  const prepare = activities({ temporalActions: 1, storeBytes: weightBytes, storeRequests: 12 });
  const stages = [
    planned('prepare', 1, { seconds: measuredRates.prepareSeconds }, prepare),
    // Taken to be as large as the default model.
    ...(asksGuardModel(configuration)
      ? [planned('prepare guard model', 1, { seconds: measuredRates.prepareSeconds }, prepare)]
      : []),
    evaluate('evaluate before'),
  ];
  if (warmStart.enabled) {
    const chains = total(warmStart.requests) * warmStart.samplesPerRequest;
    const kept = Math.min(
      Math.round(chains * measuredRates.shareKept),
      warmStart.keepPerKind ? total(warmStart.keepPerKind) : chains,
    );
    const sequences = kept * warmStart.epochs;
    stages.push(
      planned(
        'warm start',
        1,
        ...chainWriting(configuration, chains, (guidance) =>
          generation(configuration, chains, guidance, warmStart.samplesPerRequest),
        ),
        grading(configuration, Math.ceil(total(warmStart.requests) / shards.generationRequests), {
          harmful: warmStart.requests.harmful * warmStart.samplesPerRequest,
          all: chains,
        }),
        embedding(configuration, total(warmStart.requests), warmStart.target ? 'raw' : 'cases', 'first'),
        // A fresh adapter, the record of the warm start, the plan that reads all chains.
        activities({ temporalActions: 2, storeBytes: adapterBytes(configuration), storeRequests: 30 }),
        training(configuration, {
          sequences,
          samples: 1,
          steps: Math.ceil(sequences / warmStart.batchSequences),
          referenced: false,
        }),
        childWorkflow,
      ),
    );
    if (evaluation.afterWarmStart && iteration.count > 0)
      stages.push(evaluate('evaluate warm start', ...faithfulness(configuration)));
  }
  if (iteration.count > 0) {
    const chains = total(iteration.requests) * iteration.samplesPerRequest;
    stages.push(
      planned(
        'iterations',
        iteration.count,
        generation(configuration, chains, iteration.guidance, iteration.samplesPerRequest),
        embedding(configuration, total(iteration.requests), iteration.guidance, 'further'),
        grading(configuration, Math.ceil(total(iteration.requests) / shards.generationRequests), {
          harmful: iteration.requests.harmful * iteration.samplesPerRequest + evaluation.probe.harmful,
          all: chains + total(evaluation.probe),
        }),
        // A preference loss reads policy and reference before its step.
        training(configuration, {
          sequences: chains,
          samples: iteration.samplesPerRequest,
          steps: 1,
          referenced: iteration.method !== undefined || iteration.klWeight > 0,
        }),
        generation(configuration, total(evaluation.probe), 'raw'),
        badBeliefs(configuration),
        ...validation(configuration),
        // The iteration's record, the run's record, figures of the probe.
        activities({ temporalActions: 2 + (total(evaluation.probe) > 0 ? 1 : 0), storeRequests: 11 }),
        childWorkflow,
      ),
    );
  }
  const exported = weightBytes + adapterBytes(configuration);
  stages.push(
    evaluate('evaluate after', ...faithfulness(configuration)),
    planned(
      'export',
      1,
      { seconds: measuredRates.exportSeconds },
      activities({ temporalActions: 1, storeBytes: exported, storeRequests: 12 }),
    ),
    planned(
      'report',
      1,
      { seconds: measuredRates.reportSeconds },
      // It reads what each iteration has left.
      activities({ temporalActions: 2, storeBytes: 1e5, storeRequests: 38 + 8 * iteration.count }),
    ),
  );

  const sum = (of: (stage: PlannedStage) => number): number => stages.reduce((all, stage) => all + of(stage), 0);
  const iterations = stages.find(({ stage }) => stage === 'iterations');
  const judgeCalls = sum(({ judgeCalls }) => judgeCalls);
  const teacherCalls = sum(({ teacherCalls }) => teacherCalls);
  const storeBytes = sum(({ storeBytes }) => storeBytes);
  return {
    stages,
    seconds: sum(({ seconds }) => seconds),
    generatedTokens: sum(({ generatedTokens }) => generatedTokens),
    trainedTokens: sum(({ trainedTokens }) => trainedTokens),
    // Beside the store: the model as published, as compiled, and merged with the adapter.
    diskBytes: storeBytes + weightBytes * 3,
    storeBytes,
    storeRequests: sum(({ storeRequests }) => storeRequests),
    // Weights of sampler and trainer, with what preparing their sessions takes, and the activations of one micro-batch.
    // Sampler and trainer side by side, as on a machine with 32 times the weights' memory (measured 3.23 GB with 768 tokens, 3.47 GB with 1024); 1.4 times
    // the weights less where one of them is compiled at a time.
    memoryBytes: weightBytes * 4.9 + configuration.engine.microBatchTokens * 770e3,
    temporalActions: sum(({ temporalActions }) => temporalActions),
    temporalActionsPerIteration: iterations ? iterations.temporalActions / iterations.times : 0,
    judgeCalls,
    judgeCost: judge ? costOfCalls(judge, judgeCalls, measuredRates.judgeInputTokens, judge.maxTokens ?? 512) : 0,
    teacherCalls,
    teacherCost: teacherCost(configuration, teacherCalls),
  };
}
