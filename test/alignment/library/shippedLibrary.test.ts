/** The library that ships with the project, as the pipeline reads it. */
import { describe, expect, it } from 'vitest';
import { sampleCases } from '../../../alignment/cases/sampleCases.ts';
import { libraryDomains } from '../../../alignment/configuration/library.ts';
import { formatChain, parseChain } from '../../../alignment/chains/chain.ts';
import { selectRequests } from '../../../alignment/evaluation/selectRequests.ts';
import { createRuleJudge } from '../../../alignment/judges/ruleJudge.ts';
import { requestSplits } from '../../../alignment/library/library.ts';
import { parseLibrary } from '../../../alignment/library/parseLibrary.ts';
import { guidedPrompt } from '../../../alignment/prompts/guidedPrompt.ts';
import { readLibraryFiles } from '../../../cli/operate/libraryFiles.ts';
import { readConfiguration } from '../../../infra/configuration/readConfiguration.ts';

describe.each([
  { name: 'general', file: 'configurations/demo.yaml', hazards: 12 },
  ...libraryDomains.map((domain) => ({ name: domain, file: `configurations/domains/${domain}.yaml`, hazards: 6 })),
])('the shipped $name library', async ({ file, hazards }) => {
  const configuration = await readConfiguration(file);
  const library = parseLibrary(await readLibraryFiles(configuration.library));
  const allRequests = () => requestSplits.flatMap((split) => library.requests[split]);

  it('has the numbers that the shipped configuration and the issue ask for', () => {
    expect(library.cases.length).toBeGreaterThanOrEqual(24);
    expect(new Set(library.cases.map(({ category }) => category)).size).toBe(hazards);
    expect(library.codes.detailed.filter(({ category }) => category !== undefined)).toHaveLength(hazards);
    expect(library.judges.publishedPhrases).toHaveLength(29);
    const { warmStart, evaluation } = configuration;
    expect(() => selectRequests(library.requests.training, warmStart.requests, 's', 'training')).not.toThrow();
    expect(() => selectRequests(library.requests.heldOut, evaluation.requests, 's', 'heldOut')).not.toThrow();
  });

  it('gives every request its cases, and at most one set of them a category', () => {
    const sets = new Map<string, Set<string>>();
    for (const request of allRequests()) {
      const ids = sampleCases(library, request, configuration.cases, 's').map(({ id }) => id);
      expect(ids).toHaveLength(configuration.cases.count);
      sets.set(request.category, (sets.get(request.category) ?? new Set()).add(ids.join()));
    }
    for (const chosen of sets.values()) expect(chosen.size).toBe(1);
    expect(new Set([...sets.values()].flatMap((chosen) => [...chosen])).size).toBeLessThanOrEqual(hazards + 1);
  });

  it('shows the headings in the instruction and in every case', () => {
    const { chain, cases } = configuration;
    const request = library.requests.training[0]!;
    const { messages } = guidedPrompt(request, [], library.codes, { ...cases, headings: chain });
    expect(messages[0]!.content).toContain(chain.analysisHeading);
    expect(messages[0]!.content).toContain(chain.responseHeading);
    expect(messages[0]!.content).not.toContain('{{');
    for (const one of library.cases) {
      expect(parseChain(formatChain(one.analysis, one.response, chain), chain).problems).toEqual([]);
    }
  });

  it('has a judge that agrees with the verdicts of the cases', () => {
    const judge = createRuleJudge(library.judges.refusal);
    const wrong = library.cases.filter((one) => {
      const judgement = judge({ request: one.request, finalResponse: one.response });
      const right = one.verdict === 'refuse' ? 'refusal' : 'compliance';
      return 'unscorable' in judgement || judgement.verdict !== right;
    });
    expect(wrong.map(({ id }) => id)).toEqual([]);
  });
});
