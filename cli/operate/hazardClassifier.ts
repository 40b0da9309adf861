/** Hazards of prompts, told by a model: by an endpoint (endpointClassifier.ts) or by a guard model run here (guardClassifier.ts). */
import { enoughOf, type ClassifiedPrompt } from '../../alignment/library/beaverTails/chooseRequests.ts';
import { promptKey } from '../../alignment/library/beaverTails/rows.ts';
import { seededOrder } from '../../alignment/randomness/seededRandom.ts';
import { badInput } from '../errors.ts';

export interface HazardDefinition {
  hazard: string;
  definition: string;
}

export interface HazardClassifier {
  /** As the library's card names it. */
  name: string;
  /** Of each prompt a hazard, `other`, `safe`, or `unreadable` where it says none of them. */
  tell(prompts: readonly string[]): Promise<string[]>;
  /** Questions that were asked, and those whose answer was kept from an earlier time. */
  tally: Readonly<{ asked: number; kept: number }>;
  close(): Promise<void>;
}

export type OpenHazardClassifier = (
  hazards: readonly HazardDefinition[],
  report: (line: string) => void,
) => Promise<HazardClassifier>;

export interface ClassifiedPrompts {
  classified: ClassifiedPrompt[];
  /** Prompts that were told to be no hazard, or could not be told; those that were never looked at are in neither. */
  leftOut: Record<string, number>;
}

/** Prompts asked about together; whether there are enough is looked at between. */
const together = 64;
/** Share of answers that may not be readable. */
const mostUnread = 0.2;

/** In the order of the seed, until each hazard has enough or all are asked: a few hundred to all of them. */
export async function classifyPrompts(
  prompts: readonly string[],
  hazards: readonly HazardDefinition[],
  classifier: HazardClassifier,
  { seed, perHazard }: { seed: number; perHazard: number },
  report: (line: string) => void,
): Promise<ClassifiedPrompts> {
  const found: ClassifiedPrompt[] = [];
  const order = seededOrder(prompts, promptKey, `${seed}/beavertails`);
  const isShort = (): boolean =>
    hazards.some(({ hazard }) => found.filter((one) => one.hazard === hazard).length < enoughOf({ perHazard }));
  for (let start = 0; start < order.length && isShort(); start += together) {
    const batch = order.slice(start, start + together);
    const told = await classifier.tell(batch);
    found.push(...batch.map((prompt, index) => ({ prompt, hazard: told[index]! })));
    const { asked, kept } = classifier.tally;
    report(`${found.length} of ${order.length} prompts told (${asked} asked, ${kept} known)`);
  }
  const counts = { other: 0, safe: 0, unreadable: 0 };
  for (const { hazard } of found) if (hazard in counts) counts[hazard as keyof typeof counts] += 1;
  if (counts.unreadable > mostUnread * found.length) {
    throw badInput(
      `${counts.unreadable} of ${found.length} replies of the classifier name no category.`,
      'Take another model, or --classify native.',
    );
  }
  return { classified: found.filter(({ hazard }) => !(hazard in counts)), leftOut: counts };
}
