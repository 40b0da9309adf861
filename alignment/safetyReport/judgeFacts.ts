/** Which judges a run asks, and how far they agree with the labels of people that came with its library. */
import { z } from 'zod';
import type { Configuration } from '../configuration/schema.ts';
import { asksGuardModel } from '../configuration/optionalRewards.ts';
import { agreementOf, type Agreement } from '../judges/agreement.ts';
import type { Judge } from '../judges/judge.ts';
import { createPhraseJudge } from '../judges/publishedPhrases.ts';
import { createRuleJudge } from '../judges/ruleJudge.ts';
import type { Library } from '../library/library.ts';
import type { JudgeFacts } from './safetyData.ts';

const labelledFile = 'judges/labelledAnswers.jsonl';
const labelledSchema = z.object({ request: z.string(), finalResponse: z.string(), label: z.string() });
type Labelled = z.infer<typeof labelledSchema>;

/** @param files texts of the library by path */
export function judgeFacts(
  configuration: Configuration,
  { judges: { refusal, publishedPhrases } }: Library,
  files: Readonly<Record<string, string>>,
): JudgeFacts[] {
  const labelled = labelledAnswers(files[labelledFile]);
  const version = (refusal as { version?: unknown }).version;
  const rules: JudgeFacts = {
    name: `rules of the library (judges/refusal.json${version === undefined ? '' : `, version ${String(version)}`})`,
    decides: 'verdict of every final response: filters, rewards, figures',
    ...agreementWith(createRuleJudge(refusal), labelled, (label) => label),
  };
  const phrases: JudgeFacts = {
    name: `published list of ${publishedPhrases.length} phrases`,
    decides: 'a second column of the figures, nothing else',
    ...agreementWith(createPhraseJudge(publishedPhrases), labelled, (label) =>
      label === 'refusal' ? 'refusal' : 'compliance',
    ),
  };
  return [rules, phrases, ...modelJudges(configuration)];
}

function modelJudges(configuration: Configuration): JudgeFacts[] {
  const { rewards, judge, guardModel, ensemble, evaluation } = configuration;
  const used = (weight: number | undefined): string => (weight ? `part of the reward, weight ${weight}` : 'figures');
  return [
    ...(judge ? [{ name: `rubric judge ${judge.model}`, decides: used(rewards.graded) }] : []),
    ...(guardModel && asksGuardModel(configuration)
      ? [{ name: `guard model ${guardModel.source.split('/').slice(-2).join('/')}`, decides: used(rewards.guard) }]
      : []),
    ...(ensemble ? [{ name: `ensemble of ${ensemble.judges.join(', ')}`, decides: used(rewards.ensemble) }] : []),
    ...(rewards.own ?? []).map(({ name }) => ({
      name: `the user's own function ${name}`,
      decides: 'part of the reward',
    })),
    ...(evaluation.leaks ? [{ name: 'rules for leaks', decides: 'whether the analysis of a refusal gives away' }] : []),
  ];
}

/** The labels that can be read; a library of one's own may carry none, or others. */
function labelledAnswers(content: string | undefined): Labelled[] {
  return (content ?? '').split('\n').flatMap((line) => {
    if (line.trim() === '') return [];
    try {
      return [labelledSchema.parse(JSON.parse(line))];
    } catch {
      return [];
    }
  });
}

/** @param asked what of a label the judge can say */
function agreementWith(
  judge: Judge,
  labelled: readonly Labelled[],
  asked: (label: string) => string,
): { agreement?: Agreement } {
  const judged = labelled.flatMap(({ request, finalResponse, label }) => {
    const judgement = judge({ request, finalResponse });
    return 'unscorable' in judgement ? [] : [{ label: asked(label), said: judgement.verdict }];
  });
  return judged.length > 0 ? { agreement: agreementOf(judged) } : {};
}
