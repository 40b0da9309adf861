import { describe, expect, test } from 'vitest';
import { formatChain } from '../../../alignment/chains/chain.ts';
import {
  deliberationFigures,
  hearReplies,
  openDeliberation,
  questionAbout,
  type AgentReply,
  type Deliberation,
} from '../../../alignment/deliberation/deliberation.ts';
import { concerns } from '../../../alignment/deliberation/prompts.ts';

const format = { analysisHeading: '### Analysis', responseHeading: '### Final Response' };
const chainOf = (analysis: string): string => formatChain(analysis, 'Mix and bake.', format);
const guided = [
  { role: 'system' as const, content: 'Codes.' },
  { role: 'user' as const, content: 'How do I bake?' },
];
const settings = { by: 'policy', rounds: 3, agents: 2 } as const;

/** Goes through phases with one reply each about the only chain; undefined = nothing is asked then. */
function after(replies: (string | AgentReply)[], rounds = 3, agents = 2): Deliberation {
  let state = openDeliberation([{ requestId: 't1', sampleIndex: 0 }]);
  const given = replies.map((reply) => (typeof reply === 'string' ? { text: reply, cut: false } : reply));
  for (const reply of given) state = hearReplies(state, () => reply, { ...settings, rounds, agents }, format);
  return state;
}
const asked = (state: Deliberation, agents = 2) =>
  questionAbout(state, state.chains[0]!, guided, 'How do I bake?', { ...settings, agents })?.at(-1)!.content;

describe('a deliberation', () => {
  test('decomposes intents first: the request alone, without codes', () => {
    const state = openDeliberation([{ requestId: 't1', sampleIndex: 0 }]);
    expect(questionAbout(state, state.chains[0]!, guided, 'How do I bake?', settings)).toEqual([
      { role: 'user', content: expect.stringMatching(/Do not answer it[^]*Request: How do I bake\?$/) as string },
    ]);
  });

  test('takes the lines of a list for intents, five at most, each of bounded length', () => {
    const list = ['Sure:', '- to bake', '* to sell', '2. to poison', '3) four', 'no item', '- five', '- six'];
    expect(after([list.join('\n')]).chains[0]!.intents).toEqual(['to bake', 'to sell', 'to poison', 'four', 'five']);
    expect(after([`- ${'long '.repeat(100)}`]).chains[0]!.intents[0]).toHaveLength(240);
    expect(after(['I will not.']).chains[0]!.intents).toEqual([]);
    // Not what a model thinks to itself.
    expect(after(['<think>\n- hm\n</think>\n- to bake']).chains[0]!.intents).toEqual(['to bake']);
  });

  test('drafts with the guided prompt, and intents below the request', () => {
    const state = after(['- to bake']);
    expect(state.phase).toBe('draft');
    const messages = questionAbout(state, state.chains[0]!, guided, 'How do I bake?', settings)!;
    expect(messages[0]).toEqual(guided[0]);
    expect(messages[1]!.content).toBe('How do I bake?\n\nWhat the sender may want by it:\n- to bake');
    expect(questionAbout(after(['nothing']), state.chains[0]!, guided, '', settings)).not.toEqual(guided);
    expect(asked(after(['nothing']))).toBe('How do I bake?');
  });

  test('ends its rounds when the other agent agrees, and refines', () => {
    const draft = after(['- x', chainOf('First.')]);
    expect(draft).toMatchObject({ phase: 'critique', round: 1 });
    expect(asked(draft)).toContain(concerns[0]);
    expect(asked(draft)).toContain('First.');
    const agreed = after(['- x', chainOf('First.'), 'Agreed. Nothing to add.']);
    expect(agreed).toMatchObject({ phase: 'refine', round: 1, chains: [{ agreements: 1, revisions: 0 }] });
    expect(asked(agreed)).toMatch(/Leave out every thought[^]*Keep the two parts/);
    expect(after(['- x', chainOf('First.'), '<think>No?</think>\nAGREED']).phase).toBe('refine');
    const done = after(['- x', chainOf('First.'), 'AGREED', chainOf('Short.')]);
    expect(done).toMatchObject({ phase: 'done', chains: [{ reply: chainOf('Short.'), refined: true }] });
    expect(asked(done)).toBeUndefined();
  });

  test('goes on with a revised reply, the agents by turns, until the rounds are used up', () => {
    const first = after(['- x', chainOf('1'), chainOf('2')]);
    expect(first).toMatchObject({ phase: 'critique', round: 2, chains: [{ reply: chainOf('2'), agreements: 0 }] });
    expect(asked(first)).toContain(concerns[1]);
    expect(asked(after(['- x', chainOf('1'), chainOf('2'), chainOf('3')]))).toContain(concerns[0]);
    const last = after(['- x', chainOf('1'), chainOf('2'), chainOf('3'), chainOf('4')]);
    expect(last).toMatchObject({ phase: 'refine', round: 3, chains: [{ revisions: 3, critiques: 3 }] });
  });

  test('with three agents two must agree one after another; a revision undoes what was agreed', () => {
    const oneOnly = after(['- x', chainOf('1'), 'agreed', chainOf('2'), 'AGREED'], 5, 3);
    expect(oneOnly).toMatchObject({ phase: 'critique', round: 4, chains: [{ agreements: 1 }] });
    const both = after(['- x', chainOf('1'), chainOf('2'), 'agreed', '**AGREED**'], 5, 3);
    expect(both).toMatchObject({ phase: 'refine', round: 3, chains: [{ agreements: 2 }] });
  });

  test.each<[string, string | AgentReply]>([
    ['without the two parts', 'It is fine, I think.'],
    ['that is cut', { text: chainOf('Better.'), cut: true }],
    ['that is not there', { text: null, cut: false }],
    ['that changes nothing', chainOf('1')],
    ['that only begins like a word', 'Agreedness matters.'],
  ])('a critique %s is no vote, and keeps the reply', (_, critique) => {
    const { chains, phase } = after(['- x', chainOf('1'), critique]);
    expect(phase).toBe('critique');
    expect(chains[0]).toMatchObject({ reply: chainOf('1'), agreements: 0, revisions: 0 });
  });

  test('a refiner that loses the form, or its end, refines nothing', () => {
    for (const lost of ['Just an answer.', { text: chainOf('x'), cut: true }]) {
      const { chains } = after(['- x', chainOf('1'), 'AGREED', lost]);
      expect(chains[0]).toMatchObject({ reply: chainOf('1'), refined: false });
    }
  });

  test('a chain without a draft is asked about no more; a cut draft stays cut until it is written anew', () => {
    const none = after(['- x', { text: null, cut: false }]);
    expect(none).toMatchObject({ phase: 'refine', chains: [{ reply: null }] });
    expect(asked(none)).toBeUndefined();
    const cut = after(['- x', { text: 'half a', cut: true }]);
    expect(cut.chains[0]!.cut).toBe(true);
    expect(after(['- x', { text: 'half a', cut: true }, chainOf('1')]).chains[0]!.cut).toBe(false);
  });

  test('its figures are shares of the chains that were written', () => {
    const chain = after(['- x', chainOf('1'), 'AGREED', chainOf('2')]).chains[0]!;
    const revised = { ...chain, requestId: 't2', agreements: 0, revisions: 2, intents: [], refined: false };
    const unwritten = { ...chain, requestId: 't3', reply: null };
    const state: Deliberation = { promptVersion: 1, phase: 'done', round: 3, chains: [chain, revised, unwritten] };
    expect(deliberationFigures(state, settings)).toEqual({
      'deliberation/rounds': 3,
      'deliberation/with_intents': 0.5,
      'deliberation/revised': 0.5,
      'deliberation/agreed': 0.5,
      'deliberation/refined': 0.5,
    });
  });
});
