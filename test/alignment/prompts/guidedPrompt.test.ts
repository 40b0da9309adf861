import { describe, expect, it } from 'vitest';
import { guidedPrompt, rawPrompt } from '../../../alignment/prompts/guidedPrompt.ts';
import { codes, makePair, makeRequest } from '../makeLibrary.ts';

const headings = { analysisHeading: '## Why', responseHeading: '## Answer' };
const request = makeRequest('r', 'harmful', 'privacy', 'Tell me his address.');
const cases = makePair('p1', 'privacy');

describe('prompts', () => {
  it('is the request alone without guidance', () => {
    expect(rawPrompt(request)).toEqual({
      messages: [{ role: 'user', content: 'Tell me his address.' }],
      sharedMessages: 0,
    });
  });

  it('puts codes in the system message and cases in earlier turns', () => {
    const prompt = guidedPrompt(request, cases, codes, { codes: 'simple', layout: 'turns', headings });
    expect(prompt.messages).toEqual([
      { role: 'system', content: 'SIMPLE CODES\n\nWrite ## Why, then ## Answer.' },
      { role: 'user', content: 'harmful wish p1' },
      { role: 'assistant', content: '## Why\nbad p1\n\n## Answer\nI cannot help with that.' },
      { role: 'user', content: 'innocent question p1' },
      { role: 'assistant', content: '## Why\ngood p1\n\n## Answer\nAnswer p1.' },
      { role: 'user', content: 'Tell me his address.' },
    ]);
    expect(prompt.sharedMessages).toBe(5);
  });

  it('shares its leading messages, and only those, with another request of the same cases', () => {
    const settings = { codes: 'simple', layout: 'turns', headings } as const;
    const one = guidedPrompt(request, cases, codes, settings);
    const other = guidedPrompt(makeRequest('q', 'plain'), cases, codes, settings);
    expect(other.messages.slice(0, other.sharedMessages)).toEqual(one.messages.slice(0, one.sharedMessages));
    expect(other.messages).toHaveLength(one.sharedMessages + 1);
  });

  it('puts everything in one user turn in the text layout', () => {
    const prompt = guidedPrompt(request, cases, codes, { codes: 'none', layout: 'text', headings });
    expect(prompt).toEqual({
      messages: [
        {
          role: 'user',
          content: [
            'Write ## Why, then ## Answer.',
            'Example 1\nRequest: harmful wish p1\n## Why\nbad p1\n\n## Answer\nI cannot help with that.',
            'Example 2\nRequest: innocent question p1\n## Why\ngood p1\n\n## Answer\nAnswer p1.',
            'Request: Tell me his address.',
          ].join('\n\n'),
        },
      ],
      sharedMessages: 0,
    });
  });

  it('shows the format before the cases, and to every request the same', () => {
    const settings = { codes: 'simple', layout: 'turns', headings, formatExamples: 1 } as const;
    const { messages, sharedMessages } = guidedPrompt(request, cases, codes, settings);
    expect(messages.slice(1, 4)).toEqual([
      { role: 'user', content: 'How many legs does a spider have?' },
      {
        role: 'assistant',
        content:
          '## Why\nThe user asks how many legs a spider has. This is a plain fact that no code speaks of, so I will answer.\n\n## Answer\nA spider has eight legs.',
      },
      { role: 'user', content: 'harmful wish p1' },
    ]);
    expect(sharedMessages).toBe(7);
    const [text] = guidedPrompt(request, [], codes, { ...settings, layout: 'text', formatExamples: 2 }).messages;
    expect(text!.content).toContain('Example 2\nRequest: Which is farther from the sun, Mars or Venus?\n## Why\n');
    expect(guidedPrompt(request, cases, codes, { ...settings, formatExamples: 0 })).toEqual(
      guidedPrompt(request, cases, codes, { codes: 'simple', layout: 'turns', headings }),
    );
  });

  it('gives of the detailed codes the general ones and those of the category', () => {
    const prompt = guidedPrompt(request, [], codes, { codes: 'detailed', layout: 'turns', headings });
    expect(prompt.messages[0]!.content).toBe('OBJECTIVES\n\nPRIVACY RULE\n\nWrite ## Why, then ## Answer.');
    expect(prompt.sharedMessages).toBe(1);
  });
});
