/** The result of a study, as its JSON has it. */
import type { Contamination } from '../benchmarks/contamination.ts';
import type { TestedHypothesis } from './hypotheses.ts';
import type { StudyFigures } from './studyFigures.ts';
import type { Study } from './studySchema.ts';

export interface StudyResult {
  studyId: string;
  name: string;
  settings: Pick<Study, 'seeds' | 'suites' | 'attacks' | 'maxNewTokens' | 'questionSeed' | 'bootstrapSamples'>;
  /** `asked`: what stood before each question, in the words of `--arm`. */
  arms: { name: string; trained: boolean; asked: string }[];
  /** `model`: as the study names it. */
  models: { model: string; name: string; digest: string | null }[];
  units: {
    unit: string;
    arm: string;
    model: string;
    seed: number | null;
    runId: string | null;
    adapterSha256: string | null;
  }[];
  failed: { unit: string; cause: string }[];
  figures: StudyFigures;
  /** Of a study that claims something: for each model each hypothesis. */
  hypotheses?: TestedHypothesis[];
  /** Questions that stand among training requests and cases: counts and ids. Absent in results of older versions. */
  contamination?: Contamination[];
}
