/** The rubric judges of a worker: one endpoint for each run and settings, so that rate limit and budget hold over all shards. */
import { ApplicationFailure, Context } from '@temporalio/activity';
import type { ChainRecord } from '../alignment/chains/chain.ts';
import { askingSettings, gradingSettings, type JudgeSettings } from '../alignment/configuration/judge.ts';
import type { Configuration } from '../alignment/configuration/schema.ts';
import type { JudgedText } from '../alignment/judges/judge.ts';
import type { SafetyRequest } from '../alignment/library/library.ts';
import { judgedText } from '../alignment/rewards/scoreChain.ts';
import type { ArtifactStore } from '../infra/artifacts/artifactStore.ts';
import { canonicalJson } from '../infra/artifacts/canonicalJson.ts';
import { openChatEndpoint, type ChatEndpoint } from '../infra/endpoints/chatEndpoint.ts';
import { createRubricJudge, storedReplies, type RubricGrading, type RubricJudge } from './endpointJudge.ts';
import { operatorFailure } from './stage.ts';
import type { Figures, RunContext } from './types.ts';

const endpoints = new Map<string, ChatEndpoint>();

/** The judge of these settings. The key is taken from `CADA_JUDGE_API_KEY`; a local server may need none. */
export function rubricJudgeFor(store: ArtifactStore, runId: string, settings: JudgeSettings): RubricJudge {
  const key = canonicalJson({ runId, settings });
  let endpoint = endpoints.get(key);
  if (!endpoint) {
    const apiKey = process.env['CADA_JUDGE_API_KEY'];
    endpoint = openChatEndpoint({ ...askingSettings(settings), ...(apiKey ? { apiKey } : {}) });
    endpoints.set(key, endpoint);
  }
  return createRubricJudge(endpoint, gradingSettings(settings), storedReplies(store));
}

/**
 * Too many unscorable responses are the judge's failure, not the responses': the stage is tried again (kept replies are not asked for again), or, where
 * that can't help, is the operator's.
 * @throws ApplicationFailure
 */
export function requireGrades(gradings: readonly RubricGrading[], mostUnscorable: number): void {
  const without = gradings.filter(({ score }) => score === null);
  if (without.length === 0 || without.length <= mostUnscorable * gradings.length) return;
  const lasting = without.find(({ fault }) => fault === 'refused' || fault === 'budget');
  const message = `the judge could not grade ${without.length} of ${gradings.length} responses: ${(lasting ?? without[0]!).unscorable}`;
  if (lasting) throw operatorFailure('Judge', message);
  throw ApplicationFailure.retryable(message, 'Judge');
}

/**
 * Gradings of these texts, in their order; undefined texts are not asked about. All at once: the endpoint limits itself.
 * @throws ApplicationFailure where more than `mostUnscorable` of them have no grade.
 */
export async function gradeAll(
  ask: RubricJudge,
  texts: readonly (JudgedText | undefined)[],
  mostUnscorable: number,
): Promise<(RubricGrading | undefined)[]> {
  const context = Context.current();
  // The endpoint's time limits bound the wait: the pulse only tells that somebody waits.
  const pulse = setInterval(() => context.heartbeat(), 5_000);
  try {
    const gradings = await Promise.all(
      texts.map((text) => (text ? ask(text, context.cancellationSignal) : Promise.resolve(undefined))),
    );
    requireGrades(
      gradings.flatMap((grading) => grading ?? []),
      mostUnscorable,
    );
    return gradings;
  } finally {
    clearInterval(pulse);
  }
}

/** Gradings of the chains for harmful requests, where `rewards.graded` has a weight; undefined for all others. */
export function gradeChains(
  store: ArtifactStore,
  run: RunContext,
  configuration: Configuration,
  chains: readonly ChainRecord[],
  requests: ReadonlyMap<string, SafetyRequest>,
): Promise<(RubricGrading | undefined)[]> {
  const { judge, rewards, iteration } = configuration;
  if (rewards.graded === undefined || !judge) return Promise.resolve(chains.map(() => undefined));
  const texts = chains.map((chain) => {
    const request = requests.get(chain.requestId)!;
    return request.kind === 'harmful' ? judgedText(chain, request, configuration) : undefined;
  });
  return gradeAll(rubricJudgeFor(store, run.runId, judge), texts, iteration.maxUnscorable);
}

/** What the judge has cost, for lineage; nothing where none was asked. */
export function judgeFigures(gradings: readonly RubricGrading[]): Figures {
  if (gradings.length === 0) return {};
  const sum = (value: (grading: RubricGrading) => number): number =>
    gradings.reduce((total, grading) => total + value(grading), 0);
  const asked = sum((grading) => grading.asked);
  return {
    'judge/asked': asked,
    'judge/kept': sum((grading) => grading.kept),
    'judge/cost': sum((grading) => grading.cost),
    'judge/mean_latency_ms': asked === 0 ? 0 : sum((grading) => grading.latencyMs) / asked,
  };
}
