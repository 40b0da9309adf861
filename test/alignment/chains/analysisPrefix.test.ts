import { describe, expect, it } from 'vitest';
import { analysisPrefix } from '../../../alignment/chains/analysisPrefix.ts';
import { formatChain, parseChain, type ChainFormat } from '../../../alignment/chains/chain.ts';

const headings = { analysisHeading: '### Analysis', responseHeading: '### Final Response' };
const markers: ChainFormat = {
  ...headings,
  format: 'pattern',
  pattern: { analysisMarker: 'Why:', responseMarker: 'Answer:' },
};

describe('analysisPrefix', () => {
  it('is the chain up to its final response, with the line break of its heading', () => {
    expect(analysisPrefix('### Analysis\nIt asks.\n\n### Final Response\nMix flour.\n', headings)).toBe(
      '### Analysis\nIt asks.\n\n### Final Response\n',
    );
  });

  it('leaves a blank behind a marker to the policy, whose next token begins with it', () => {
    expect(analysisPrefix('Why: It asks.\nAnswer: Mix flour.', markers)).toBe('Why: It asks.\nAnswer:');
  });

  it('takes the response itself, not a repetition of it in the analysis', () => {
    expect(analysisPrefix('### Analysis\nNo.\n\n### Final Response\nNo.', headings)).toBe(
      '### Analysis\nNo.\n\n### Final Response\n',
    );
  });

  it('with another response gives a chain with the analysis that was handed over', () => {
    for (const format of [headings, { ...headings, format: 'think' as const }, markers]) {
      const prefix = analysisPrefix(formatChain('It is harmful.', 'I can not help.', format), format)!;
      expect(parseChain(`${prefix} Mix flour.`, format)).toMatchObject({
        ...{ analysis: 'It is harmful.', finalResponse: 'Mix flour.', format: true },
      });
    }
  });

  it('is none of a chain that lacks a part', () => {
    expect(analysisPrefix('Mix flour.', headings)).toBeUndefined();
    expect(analysisPrefix('### Final Response\nMix flour.', headings)).toBeUndefined();
    expect(analysisPrefix('### Analysis\nIt asks.', headings)).toBeUndefined();
    expect(analysisPrefix('### Analysis\nIt asks.\n### Final Response\n', headings)).toBeUndefined();
  });
});
