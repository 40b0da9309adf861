import { describe, expect, it } from 'vitest';
import { formatChain, parseChain } from '../../../alignment/chains/chain.ts';

const headings = { analysisHeading: '### Analysis', responseHeading: '### Final Response' };
const parse = (text: string) => parseChain(text, headings);

describe('parseChain', () => {
  it('splits the two parts', () => {
    expect(parse('### Analysis\nIt asks for a cake.\n\n### Final Response\nMix flour.\n')).toEqual({
      analysis: 'It asks for a cake.',
      finalResponse: 'Mix flour.',
      format: true,
      problems: [],
    });
  });

  it('judges the whole text where the response heading is missing', () => {
    const parsed = parse('### Analysis\nIt asks for a cake. Mix flour.');
    expect(parsed.finalResponse).toBe('### Analysis\nIt asks for a cake. Mix flour.');
    expect(parsed.format).toBe(false);
    expect(parsed.problems).toEqual(['no "### Final Response"']);
  });

  it.each([
    ['Sure, mix flour.', ['no "### Analysis"', 'no "### Final Response"']],
    ['### Final Response\nMix flour.', ['no "### Analysis"']],
    ['### Final Response\nMix.\n### Analysis\nCake.', ['"### Final Response" comes before "### Analysis"']],
    ['### Analysis\n### Final Response\nMix.', ['the analysis is empty']],
    ['### Analysis\nCake.\n### Final Response\n  \n', ['the final response is empty']],
    ['### Analysis\nA\n### Analysis\nB\n### Final Response\nMix.', ['"### Analysis" 2 times']],
    ['### Analysis\nA\n### Final Response\nMix.\n### Final Response\nNo.', ['"### Final Response" 2 times']],
    ['Well.\n### Analysis\nA\n### Final Response\nMix.', ['text before "### Analysis"']],
  ])('names what is wrong with %j', (text, problems) => {
    expect(parse(text)).toMatchObject({ format: false, problems });
  });

  it('keeps everything after the first response heading for the judge', () => {
    expect(parse('### Analysis\nA\n### Final Response\nMix.\n### Final Response\nNo.').finalResponse).toBe(
      'Mix.\n### Final Response\nNo.',
    );
  });

  it('takes a heading only at the start of a line and as a whole', () => {
    expect(parse('I write ### Analysis\nA\n### Final Response\nMix.').problems).toEqual(['no "### Analysis"']);
    expect(parse('### Analysis2\nA\n### Final Responses\nMix.').problems).toHaveLength(2);
    expect(parse('### Analysis: A\n### Final Response: Mix.')).toMatchObject({
      analysis: 'A',
      finalResponse: 'Mix.',
      format: true,
    });
  });

  it('takes headings literally, not as patterns', () => {
    const odd = { analysisHeading: '[1.] Why?', responseHeading: '(2) Answer*' };
    expect(parseChain('[1.] Why?\nA\n(2) Answer*\nMix.', odd)).toMatchObject({
      analysis: 'A',
      finalResponse: 'Mix.',
      format: true,
    });
    expect(parseChain('1x Why\nA\n2 Answer\nMix.', odd).problems).toHaveLength(2);
  });

  it('gives back the parts of a formatted chain', () => {
    const text = formatChain(' It asks.\nTwice. ', 'No.', headings);
    expect(text).toBe('### Analysis\nIt asks.\nTwice.\n\n### Final Response\nNo.');
    expect(parse(text)).toMatchObject({ analysis: 'It asks.\nTwice.', finalResponse: 'No.', format: true });
  });
});
