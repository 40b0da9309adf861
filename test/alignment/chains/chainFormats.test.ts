import { describe, expect, it } from 'vitest';
import { formatAnswer, formatChain, parseChain, type ChainFormat } from '../../../alignment/chains/chain.ts';
import { openedReasoning, withoutOpened } from '../../../alignment/chains/reasoningTurn.ts';
import { judgedText } from '../../../alignment/rewards/scoreChain.ts';

const headings = { analysisHeading: '### Analysis', responseHeading: '### Final Response' };
const think: ChainFormat = { ...headings, format: 'think' };
const markers: ChainFormat = {
  ...headings,
  format: 'pattern',
  pattern: { analysisMarker: 'Why:', responseMarker: 'Answer:' },
};
const expression: ChainFormat = {
  ...headings,
  format: 'pattern',
  pattern: {
    expression: '<why>(?<analysis>[^<]*)</why>\\s*<answer>(?<response>.*)</answer>',
    example: '<why>{analysis}</why>\n<answer>{response}</answer>',
  },
};
const formats: [string, ChainFormat][] = [
  ['headings', headings],
  ['headings, thinking on', { ...headings, thinking: true }],
  ['headings, thinking off', { ...headings, thinking: false }],
  ['think', think],
  ['think, thinking on', { ...think, thinking: true }],
  ['two markers', markers],
  ['two markers, thinking on', { ...markers, thinking: true }],
  ['an expression', expression],
  ['an expression, thinking on', { ...expression, thinking: true }],
];

describe.each(formats)('a chain in the format %s', (_name, format) => {
  it('gives back the parts that it was made of', () => {
    const text = formatChain(' It asks.\n\nTwice. ', ' Mix $& flour.\nThen bake. ', format);
    expect(parseChain(text, format)).toEqual({
      analysis: 'It asks.\n\nTwice.',
      finalResponse: 'Mix $& flour.\nThen bake.',
      format: true,
      problems: [],
    });
  });

  it('shows the judge its final response, and nothing of its analysis', () => {
    const text = formatChain('Think of the SECRET.', 'I will not help.', format);
    expect(judgedText({ text }, { request: 'How?' }, { chain: { ...format, maxNewTokens: 1 } })).toEqual({
      request: 'How?',
      finalResponse: 'I will not help.',
    });
  });

  it('shows the judge no reasoning turn of the model in front of it', () => {
    if (format.thinking !== true) return expect(format.thinking).not.toBe(true);
    const own = format.format === 'think' ? 'Sure.' : formatChain('Why not.', 'Sure.', format);
    const parsed = parseChain(`<think>\nThe SECRET.\n</think>\n\n${own}`, format);
    expect(parsed).toMatchObject({ finalResponse: 'Sure.', format: true });
    expect(parsed.analysis).toContain('The SECRET.');
    const cut = parseChain('<think>\nThe SECRET and', format);
    expect(cut).toMatchObject({ analysis: 'The SECRET and', finalResponse: '', format: false });
  });

  it('judges all of a text that is in no form', () => {
    expect(parseChain(' Sure, mix flour. ', format)).toMatchObject({
      analysis: '',
      finalResponse: 'Sure, mix flour.',
      format: false,
    });
  });

  it('writes an answer without an analysis so that it is judged as it is', () => {
    expect(parseChain(formatAnswer('I will not help.', format), format).finalResponse).toBe('I will not help.');
  });
});

describe('think', () => {
  it('is written as the template of Qwen3 writes a reasoning turn', () => {
    expect(formatChain('It asks.', 'Mix.', think)).toBe('<think>\nIt asks.\n</think>\n\nMix.');
    expect(formatAnswer('No.', think)).toBe('<think>\n\n</think>\n\nNo.');
    expect(formatAnswer('No.', { ...headings, thinking: true })).toBe('<think>\n\n</think>\n\nNo.');
    expect(formatAnswer('No.', { ...headings, thinking: false })).toBe('No.');
  });

  it.each([
    ['Mix.', '', 'Mix.', ['no "<think>"']],
    ['A</think>Mix.', 'A', 'Mix.', ['no "<think>"']],
    ['<think>A', 'A', '', ['no "</think>" after "<think>"', 'the final response is empty']],
    ['<think></think>Mix.', '', 'Mix.', ['the analysis is empty']],
    ['<think>A</think> ', 'A', '', ['the final response is empty']],
    ['Sure: mix.<think>A</think>No.', 'A', 'Sure: mix.\nNo.', ['text before "<think>"']],
    ['<think>A</think>Mix.<think>B</think>Bake.', 'A\n\nB', 'Mix.\nBake.', ['2 times "<think>"']],
    ['<think>A</think>Mix.<think>B', 'A\n\nB', 'Mix.', ['no "</think>" after "<think>"', '2 times "<think>"']],
    ['<think>A</think>Mix.</think>Bake.', 'A', 'Mix.</think>Bake.', ['"</think>" in the answer']],
    ['<think>A<think>B</think>Mix.', 'A<think>B', 'Mix.', []],
  ])('tells the parts of %j', (text, analysis, finalResponse, problems) => {
    expect(parseChain(text, think)).toEqual({ analysis, finalResponse, format: problems.length === 0, problems });
  });

  it('leaves of a turn that the prompt opened what the model has to write', () => {
    expect(openedReasoning('<|assistant|>\n<think>\n')).toBe('<think>\n');
    expect(openedReasoning('<|assistant|>\n<think>\n\n</think>\n\n')).toBe('');
    expect(withoutOpened('<think>\nA\n</think>\n\nMix.', '<think>\n')).toBe('A\n</think>\n\nMix.');
    expect(withoutOpened('<think>A</think>Mix.', '<think>\n')).toBe('A</think>Mix.');
    expect(withoutOpened('<think>A</think>Mix.', '')).toBe('<think>A</think>Mix.');
    expect(withoutOpened('Mix.', '<think>\n')).toBe('Mix.');
  });

  it('takes no heading for a part', () => {
    const text = '<think>### Final Response\nA</think>### Final Response\nMix.';
    expect(parseChain(text, think)).toMatchObject({ finalResponse: '### Final Response\nMix.', format: true });
    // With headings as the format, those inside of the reasoning turn are none.
    const own = '<think>### Final Response\nX</think>\n### Analysis\nA\n### Final Response\nMix.';
    expect(parseChain(own, { ...headings, thinking: true })).toMatchObject({
      analysis: '### Final Response\nX\n\nA',
      finalResponse: 'Mix.',
      format: true,
    });
  });

  it('counts a reasoning turn as a fault where thinking is off', () => {
    const text = '<think>X</think>### Analysis\nA\n### Final Response\nMix.';
    expect(parseChain(text, { ...headings, thinking: false })).toEqual({
      analysis: 'X\n\nA',
      finalResponse: 'Mix.',
      format: false,
      problems: ['a reasoning turn, though thinking is off'],
    });
  });
});

describe('pattern', () => {
  it('counts markers wherever they stand', () => {
    expect(parseChain('Why: it asks. Answer: mix.', markers)).toMatchObject({
      analysis: 'it asks.',
      finalResponse: 'mix.',
      format: true,
    });
    expect(parseChain('Answer: mix. Why: it asks.', markers).problems).toEqual(['"Answer:" comes before "Why:"']);
    expect(parseChain('Why: A Answer: mix. Answer: No.', markers)).toMatchObject({
      finalResponse: 'mix. Answer: No.',
      problems: ['"Answer:" 2 times'],
    });
    expect(formatChain('A', 'B', markers)).toBe('Why: A\nAnswer: B');
    const own = { ...markers, pattern: { analysisMarker: '[why]\n', responseMarker: '\n\n[answer]\n' } };
    expect(formatChain('A', 'B', own)).toBe('[why]\nA\n\n[answer]\nB');
  });

  it('keeps nothing from the judge that an expression leaves over', () => {
    const text = '<why>A</why><answer>No.</answer> But here is how.';
    expect(parseChain(text, expression)).toEqual({
      analysis: '',
      finalResponse: text,
      format: false,
      problems: ['does not match chain.pattern.expression'],
    });
    expect(parseChain('<why> </why><answer>\n</answer>', expression).problems).toEqual([
      'the analysis is empty',
      'the final response is empty',
    ]);
  });

  it('puts a text that looks like a place of the example where it belongs', () => {
    expect(formatChain('{response}', 'B', expression)).toBe('<why>{response}</why>\n<answer>B</answer>');
  });
});
