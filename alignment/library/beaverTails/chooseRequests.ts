/** Which prompts become requests of which split: at most so many a hazard, chosen by a seed, repeated where a hazard is short. */
import { seededOrder } from '../../randomness/seededRandom.ts';
import type { RequestSplit, SafetyRequest } from '../library.ts';
import { promptKey } from './rows.ts';

export interface ChoiceSettings {
  hazards: readonly string[];
  /** Training requests of all hazards together, and of one. */
  rows: number;
  perHazard: number;
  seed: string;
}

/** Of each hazard for each of the two evaluation splits; a hazard that is short gives a quarter of its prompts at most. */
const evaluated = 4;

export interface ClassifiedPrompt {
  prompt: string;
  hazard: string;
}

export interface ChosenRequests {
  requests: Record<RequestSplit, SafetyRequest[]>;
  /** Of each hazard: prompts there were, different ones for training, and training requests with those that are repeated. */
  counts: { hazard: string; prompts: number; different: number; training: number }[];
}

/** Prompts that a hazard can use: no more need be told apart. */
export const enoughOf = ({ perHazard }: Pick<ChoiceSettings, 'perHazard'>): number => perHazard + 2 * evaluated;

/** The same prompts in any order give the same requests; splits share none. */
export function chooseRequests(prompts: readonly ClassifiedPrompt[], settings: ChoiceSettings): ChosenRequests {
  const { hazards, perHazard, seed } = settings;
  const byHazard = new Map(
    hazards.map((hazard) => [
      hazard,
      seededOrder(
        prompts.filter((one) => one.hazard === hazard).map(({ prompt }) => prompt),
        promptKey,
        `${seed}/beavertails/${hazard}`,
      ),
    ]),
  );
  const quotas = trainingQuotas(
    hazards.filter((hazard) => byHazard.get(hazard)!.length > 0),
    settings,
  );
  const chosen: ChosenRequests = { requests: { training: [], development: [], heldOut: [] }, counts: [] };
  for (const hazard of hazards) {
    const all = byHazard.get(hazard)!;
    const aside = Math.min(evaluated, Math.floor(all.length / 4));
    const requestOf = (split: string, prompt: string, index: number): SafetyRequest => ({
      id: `beavertails-${split}-${hazard}-${String(index + 1).padStart(3, '0')}`,
      ...{ category: hazard, label: 'harmful', kind: 'harmful', request: prompt },
    });
    const quota = quotas.get(hazard) ?? 0;
    chosen.requests.heldOut.push(...all.slice(0, aside).map((one, index) => requestOf('held-out', one, index)));
    chosen.requests.development.push(
      ...all.slice(aside, 2 * aside).map((one, index) => requestOf('development', one, index)),
    );
    const different = all
      .slice(2 * aside, 2 * aside + Math.min(quota, perHazard))
      .map((one, index) => requestOf('training', one, index));
    chosen.requests.training.push(...different);
    for (let index = different.length; index < quota; index++) {
      const original = different[index % different.length]!;
      const time = Math.floor(index / different.length) + 1;
      chosen.requests.training.push({ ...original, id: `${original.id}-time-${time}`, repeatOf: original.id });
    }
    chosen.counts.push({ hazard, prompts: all.length, different: different.length, training: quota });
  }
  return chosen;
}

/** As even as can be: one more a hazard, round after round, to the number of rows or the most of one. */
function trainingQuotas(hazards: readonly string[], { rows, perHazard }: ChoiceSettings): Map<string, number> {
  const total = Math.min(rows, hazards.length * perHazard);
  return new Map(
    hazards.map((hazard, index) => [
      hazard,
      Math.floor(total / hazards.length) + (index < total % hazards.length ? 1 : 0),
    ]),
  );
}
