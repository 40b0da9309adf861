/** A guard model as a judge of labelled answers, run here by the engine. What it said is kept in the store by the digest of what it was asked. */
import { askGuard, openGuardPrompts } from '../../activities/askGuard.ts';
import { guardAsking, guardThreshold, type GuardModelSettings } from '../../alignment/configuration/guardModel.ts';
import { guardJudgement, type GuardVerdict } from '../../alignment/judges/guardModel.ts';
import type { JudgedText } from '../../alignment/judges/judge.ts';
import type { NamedJudge } from '../../alignment/judges/judgeCheck.ts';
import { EngineError } from '../../engine/policy.ts';
import { openStore } from '../../infra/artifacts/artifactStore.ts';
import { canonicalJson } from '../../infra/artifacts/canonicalJson.ts';
import { sha256 } from '../../infra/artifacts/digest.ts';
import { badInput } from '../errors.ts';
import { findLocalModel } from './localModel.ts';

/** Answers asked about together: what is lost at most when the command is stopped. */
const batch = 64;

export interface GuardJudge extends NamedJudge {
  close(): Promise<void>;
}

export async function guardJudge(
  settings: GuardModelSettings,
  { storeUri, ...places }: { storeUri: string; home: string; cache: string },
  report: (line: string) => void,
): Promise<GuardJudge> {
  const model = await findLocalModel(settings, places, report);
  const { weights } = model;
  const asking = guardAsking(settings);
  await openGuardPrompts(weights.modelPath, asking).catch((error: unknown) => {
    if (!(error instanceof EngineError)) throw error;
    throw badInput(error.message, 'Correct the settings of the guard model.');
  });
  const store = await openStore(storeUri);
  const engine = model.start();
  const keyOf = (judged: JudgedText): string => {
    const asked = { version: 1, guard: weights.modelDigest, asking, judged, ...model.engineKey };
    return `judgements/${sha256(canonicalJson(asked))}.json`;
  };

  const waiting: { judged: JudgedText; settle(verdict: GuardVerdict): void; fail(error: unknown): void }[] = [];
  let atWork = false;
  let done = 0;
  const work = async (): Promise<void> => {
    atWork = true;
    while (waiting.length > 0) {
      const part = waiting.splice(0, batch);
      try {
        const { verdicts } = await askGuard(
          engine,
          weights,
          asking,
          part.map(({ judged }) => judged),
        );
        for (const [index, { judged, settle }] of part.entries()) {
          await store.putDocument(keyOf(judged), verdicts[index]!, 'ifAbsent');
          settle(verdicts[index]!);
        }
        done += part.length;
        report(`guard model: ${done} answers judged, ${waiting.length} to go`);
      } catch (error) {
        for (const { fail } of part) fail(error);
      }
    }
    atWork = false;
  };
  const verdictOn = async (judged: JudgedText): Promise<GuardVerdict> => {
    const kept = await store.getDocument<GuardVerdict>(keyOf(judged));
    if (kept) return kept.value;
    return new Promise((settle, fail) => {
      waiting.push({ judged, settle, fail });
      // All that is asked for at once is asked about together.
      if (!atWork) {
        atWork = true;
        setTimeout(() => void work(), 50);
      }
    });
  };

  const threshold = guardThreshold(settings);
  return {
    name: `guard ${model.name}, P >= ${threshold}`,
    judge: async (judged) => guardJudgement(await verdictOn(judged), threshold),
    jailbroken: async (judged) => {
      const { unsafe } = await verdictOn(judged);
      return unsafe === null ? null : unsafe >= threshold;
    },
    close: () => engine.close(),
  };
}
