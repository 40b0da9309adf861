/** The endpoint judges of a worker, and what they say of many responses. */
import { ApplicationFailure, Context } from '@temporalio/activity';
import type { ChainRecord } from '../alignment/chains/chain.ts';
import { gradingSettings, judgeKeyVariable, type JudgeSettings } from '../alignment/configuration/judge.ts';
import { asksRubricJudge } from '../alignment/configuration/optionalRewards.ts';
import type { Configuration } from '../alignment/configuration/schema.ts';
import type { JudgedText } from '../alignment/judges/judge.ts';
import type { OutcomeQuestion } from '../alignment/judges/outcomeQuestions.ts';
import type { RubricText } from '../alignment/judges/rubric.ts';
import type { Library, SafetyRequest } from '../alignment/library/library.ts';
import { codesText } from '../alignment/prompts/guidedPrompt.ts';
import { judgedText } from '../alignment/rewards/scoreChain.ts';
import type { ArtifactStore } from '../infra/artifacts/artifactStore.ts';
import { tallyFigures } from '../infra/endpoints/keptReplies.ts';
import {
  createOutcomeJudge,
  createRubricJudge,
  storedReplies,
  type AskedOutcome,
  type RubricGrading,
  type RubricJudge,
  type Tally,
} from './endpointJudge.ts';
import { endpointFor } from './endpointPool.ts';
import { operatorFailure } from './stage.ts';
import type { Figures, RunContext } from './types.ts';

/** The judge of these settings. The key is taken from `CADA_JUDGE_API_KEY`; a local server may need none. */
export function rubricJudgeFor(store: ArtifactStore, runId: string, settings: JudgeSettings): RubricJudge {
  return createRubricJudge(
    endpointFor(store, runId, settings, judgeKeyVariable),
    gradingSettings(settings),
    storedReplies(store),
  );
}

/** The same endpoint, asked one question. */
export function outcomeJudgeFor<T>(
  store: ArtifactStore,
  runId: string,
  settings: JudgeSettings,
  question: OutcomeQuestion<T>,
): (judged: JudgedText, signal?: AbortSignal) => Promise<AskedOutcome<T>> {
  return createOutcomeJudge(
    endpointFor(store, runId, settings, judgeKeyVariable),
    gradingSettings(settings),
    storedReplies(store),
    question,
  );
}

/** What every judge behind an endpoint answers with. */
type Asked = Tally & { unscorable?: string };

/**
 * Too many unscorable responses are the judge's failure, not the responses': the stage is tried again (kept replies are not asked for again), or, where
 * that can't help, is the operator's.
 * @throws ApplicationFailure
 */
function requireAnswers(asked: readonly Asked[], mostUnscorable: number): void {
  const without = asked.filter(({ unscorable }) => unscorable !== undefined);
  if (without.length === 0 || without.length <= mostUnscorable * asked.length) return;
  const lasting = without.find(({ fault }) => fault === 'refused' || fault === 'budget');
  const message = `the judge could not grade ${without.length} of ${asked.length} responses: ${(lasting ?? without[0]!).unscorable}`;
  if (lasting) throw operatorFailure('Judge', message);
  throw ApplicationFailure.retryable(message, 'Judge');
}

/**
 * Asks about these texts, and answers in their order; undefined texts are not asked about. All at once: the endpoint limits itself.
 * @throws ApplicationFailure where more than `mostUnscorable` of them have no answer.
 */
export async function askAll<T extends Asked, Text extends JudgedText>(
  ask: (judged: Text, signal?: AbortSignal) => Promise<T>,
  texts: readonly (Text | undefined)[],
  mostUnscorable: number,
): Promise<(T | undefined)[]> {
  const context = Context.current();
  // The endpoint's time limits bound the wait: the pulse only tells that somebody waits.
  const pulse = setInterval(() => context.heartbeat(), 5_000);
  try {
    const answers = await Promise.all(
      texts.map((text) => (text ? ask(text, context.cancellationSignal) : Promise.resolve(undefined))),
    );
    requireAnswers(
      answers.flatMap((answer) => answer ?? []),
      mostUnscorable,
    );
    return answers;
  } finally {
    clearInterval(pulse);
  }
}

/** Gradings of the chains for harmful requests, where a reward asks for them; undefined for all others. */
export function gradeChains(
  store: ArtifactStore,
  run: RunContext,
  configuration: Configuration,
  chains: readonly ChainRecord[],
  requests: ReadonlyMap<string, SafetyRequest>,
  codes: Library['codes'],
): Promise<(RubricGrading | undefined)[]> {
  const { judge, iteration } = configuration;
  if (!asksRubricJudge(configuration) || !judge) return Promise.resolve(chains.map(() => undefined));
  const texts = chains.map((chain): RubricText | undefined => {
    const request = requests.get(chain.requestId)!;
    if (request.kind !== 'harmful') return undefined;
    const judged = judgedText(chain, request, configuration);
    return judge.codes ? { ...judged, codes: codesText(request, codes, judge.codes, configuration.chain) } : judged;
  });
  return askAll(rubricJudgeFor(store, run.runId, judge), texts, iteration.maxUnscorable);
}

/** What the judge has cost, for lineage; nothing where none was asked. */
export function judgeFigures(tallies: readonly Tally[]): Figures {
  return tallyFigures('judge', tallies);
}

/** Adds what one step has asked of a judge to what others have; the mean latency is over all questions asked now. Nothing where the step asked none. */
export function addJudgeUse(total: Figures, figures: Readonly<Record<string, unknown>>): void {
  const valueOf = (name: string): number => (typeof figures[name] === 'number' ? figures[name] : 0);
  if (typeof figures['judge/asked'] !== 'number') return;
  const [before, asked] = [total['judge/asked'] ?? 0, valueOf('judge/asked')];
  const latency = before * (total['judge/mean_latency_ms'] ?? 0) + asked * valueOf('judge/mean_latency_ms');
  for (const name of ['judge/asked', 'judge/kept', 'judge/cost']) total[name] = (total[name] ?? 0) + valueOf(name);
  total['judge/mean_latency_ms'] = before + asked === 0 ? 0 : latency / (before + asked);
}
