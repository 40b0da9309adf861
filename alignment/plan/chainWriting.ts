/** What the chains of a warm start take, by who writes them, and which of a run's chains a rubric judge is asked about. */
import { benchmarkSizes } from '../benchmarks/benchmarkNames.ts';
import { harmfulRequests } from '../benchmarks/kinds.ts';
import { asksTeacher, deliberationSettings } from '../configuration/chainSource.ts';
import { askingSettings, costOfCalls } from '../configuration/endpoint.ts';
import type { Configuration } from '../configuration/schema.ts';
import { writingSettings } from '../configuration/teacher.ts';
import type { Work } from './plannedStage.ts';

/** Assumed of a teacher: they differ by the model and its server. */
const teacherRates = {
  secondsPerReply: 4,
  /** Codes, four cases and the request; replies of the agents before come on top. */
  inputTokens: 760,
};

/**
 * @param chains of the warm start
 * @param sampled what it takes when the policy samples them from the raw request, or from the request with codes and cases
 */
export function chainWriting(
  configuration: Configuration,
  chains: number,
  sampled: (guidance: 'raw' | 'cases') => Work,
): Work[] {
  const { warmStart } = configuration;
  const { source, target } = warmStart;
  if (source === undefined) return [sampled(target ? 'raw' : 'cases')];
  // Texts become chains: nothing is sampled for that.
  const written: Work = { ...sampled('cases'), generatedTokens: 0, seconds: 0 };
  const calls = agentCalls(configuration, chains);
  const actions = (shards: number): Work => ({ seconds: 0, temporalActions: shards });
  const phases = calls / Math.max(chains, 1);
  if (asksTeacher(configuration)) {
    const seconds = teacherSeconds(configuration, calls);
    return [written, { seconds, teacherCalls: calls }, actions(Math.ceil(phases) + 1)];
  }
  const asked = [sampled('raw'), ...Array.from({ length: phases - 1 }, () => sampled('cases'))];
  return [written, ...asked.map((work) => ({ ...work, chains: 0 })), actions(phases + 1)];
}

/** Questions to the teacher, or to the policy as agents: each chain alone, or in each phase of a deliberation at most once. */
function agentCalls({ warmStart }: Configuration, chains: number): number {
  if (warmStart.source === 'teacher') return chains;
  // Intents, draft, rounds, refiner.
  return chains * (3 + deliberationSettings(warmStart.deliberation).rounds);
}

function teacherSeconds({ teacher }: Configuration, calls: number): number {
  const { concurrency, requestsPerMinute } = askingSettings(teacher!);
  return Math.max(
    (calls * teacherRates.secondsPerReply) / concurrency,
    requestsPerMinute === undefined ? 0 : (calls * 60) / requestsPerMinute,
  );
}

/** Most that the teacher's calls can cost: 0 without calls, null without prices. */
export function teacherCost({ teacher, warmStart }: Configuration, calls: number): number | null {
  if (!teacher || calls === 0) return 0;
  const { maxTokens } = writingSettings(teacher);
  const quoted = warmStart.source === 'deliberation' ? maxTokens : 0;
  return costOfCalls(teacher, calls, teacherRates.inputTokens + quoted, maxTokens);
}

/** Answers of a full evaluation that a rubric judge grades: those to harmful requests. */
export function gradedAnswers({ requests, benchmarks }: Configuration['evaluation']): number {
  return benchmarks.reduce((sum, name) => sum + (harmfulRequests[name] ?? benchmarkSizes[name]), requests.harmful);
}
