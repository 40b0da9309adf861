import { describe, expect, it } from 'vitest';
import type { ChainFormat } from '../../../alignment/chains/chain.ts';
import { fillFormat, placesInWords } from '../../../alignment/prompts/formatWords.ts';
import { guidedPrompt } from '../../../alignment/prompts/guidedPrompt.ts';
import { parseLibrary } from '../../../alignment/library/parseLibrary.ts';
import { readLibraryFiles } from '../../../cli/operate/libraryFiles.ts';
import { codes, makePair, makeRequest } from '../makeLibrary.ts';

const headings = { analysisHeading: '### Analysis', responseHeading: '### Final Response' };
const text =
  'Under "{{analysisHeading}}", say why. Then, under "{{responseHeading}}", answer. Write {{analysisHeading}} first.';

const formats: [ChainFormat, string][] = [
  [headings, 'Under "### Analysis", say why. Then, under "### Final Response", answer. Write ### Analysis first.'],
  [
    { ...headings, format: 'think' },
    'Between "<think>" and "</think>", say why. Then, after "</think>", answer. Write <think> first.',
  ],
  [
    { ...headings, format: 'pattern', pattern: { analysisMarker: 'Why: ', responseMarker: '\nAnswer: ' } },
    'After "Why:", say why. Then, after "Answer:", answer. Write Why: first.',
  ],
  [
    {
      ...headings,
      format: 'pattern',
      pattern: { expression: '(?<analysis>.*)/(?<response>.*)', example: '{analysis}/{response}' },
    },
    'As {analysis} of the form "{analysis}/{response}", say why. Then, as {response} of that form, answer. Write {analysis} first.',
  ],
];

describe('fillFormat', () => {
  it.each(formats)('names the parts of %j', (format, filled) => {
    expect(fillFormat(text, format)).toBe(filled);
  });

  it('takes marks as they are', () => {
    expect(fillFormat('{{analysisHeading}}', { ...headings, analysisHeading: '$& $1' })).toBe('$& $1');
    expect(placesInWords(headings)).toEqual({
      analysis: 'under "### Analysis"',
      response: 'under "### Final Response"',
    });
  });
});

describe('the guided prompt', () => {
  it('asks for the format, and shows the cases in it', () => {
    const format: ChainFormat = { ...headings, format: 'think' };
    const { messages } = guidedPrompt(
      makeRequest('r', 'harmful', 'privacy', 'Who?'),
      makePair('p1', 'privacy'),
      codes,
      {
        ...{ codes: 'simple', layout: 'turns' },
        headings: format,
      },
    );
    expect(messages[0]!.content).toBe('SIMPLE CODES\n\nWrite <think>, then </think>.');
    expect(messages[2]!.content).toBe('<think>\nbad p1\n</think>\n\nI cannot help with that.');
  });

  it('has nothing of headings left in the shipped instruction', async () => {
    const { codes: shipped } = parseLibrary(await readLibraryFiles(undefined));
    const [think] = guidedPrompt(makeRequest('r', 'plain'), [], shipped, {
      ...{ codes: 'simple', layout: 'turns' },
      headings: { ...headings, format: 'think' },
    }).messages;
    expect(think!.content).toContain('Between "<think>" and "</think>", say in two or three short sentences');
    expect(think!.content).toContain('After "</think>", give a short helpful answer');
    expect(think!.content).not.toMatch(/###|\{\{|Under "/);
  });
});
