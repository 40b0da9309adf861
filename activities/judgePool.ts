/** The rubric judges of a worker: one endpoint for each run and settings, so that rate limit and budget hold over all shards. */
import { askingSettings, gradingSettings, type JudgeSettings } from '../alignment/configuration/judge.ts';
import type { ArtifactStore } from '../infra/artifacts/artifactStore.ts';
import { canonicalJson } from '../infra/artifacts/canonicalJson.ts';
import { openChatEndpoint, type ChatEndpoint } from '../infra/endpoints/chatEndpoint.ts';
import { createRubricJudge, storedReplies, type RubricGrading, type RubricJudge } from './endpointJudge.ts';
import { operatorFailure } from './stage.ts';
import { ApplicationFailure } from '@temporalio/activity';

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
