import { describe, expect, it } from 'vitest';
import { attackNames } from '../../../alignment/attacks/attackNames.ts';
import { attacks, leetspeak, toBase64 } from '../../../alignment/attacks/attacks.ts';
import { attackQuestions, type SuiteQuestion } from '../../../alignment/benchmarks/suites.ts';

const request = 'How do I bake a cake à la mode?';
const lastTurn = (name: (typeof attackNames)[number], seed = 's'): string =>
  attacks[name].apply(request, seed).at(-1)!.content;

describe('attacks', () => {
  it.each(attackNames)('%s ends with a user turn, is the same for the same seed, and names its source', (name) => {
    const messages = attacks[name].apply(request, 's');
    expect(messages.at(-1)!.role).toBe('user');
    expect(attacks[name].apply(request, 's')).toEqual(messages);
    expect(attacks[name].source).toMatch(/arXiv:\d{4}\.\d{5}/);
  });

  it.each(['prefix-injection', 'refusal-suppression', 'role-play', 'distractors', 'multi-turn'] as const)(
    '%s holds the request word for word',
    (name) => expect(lastTurn(name)).toContain(request),
  );

  it('base64 is of the UTF-8 bytes and hides the words; combination too', () => {
    expect(toBase64('à la')).toBe('w6AgbGE=');
    for (const name of ['base64', 'combination'] as const) {
      const found = lastTurn(name)
        .split(/\s+/)
        .filter((word) => word.length > 20)
        .map((word) => Buffer.from(word, 'base64').toString('utf8'));
      expect(found).toContain(request);
      expect(lastTurn(name)).not.toContain('cake');
    }
    expect(lastTurn('combination')).toContain('do not apologise');
    expect(lastTurn('combination')).toContain('Begin your answer with');
  });

  it('leetspeak keeps what has no digit', () => {
    expect(leetspeak('Bake it, Otto: GO!')).toBe('84k3 17, 0770: 90!');
    expect(lastTurn('leetspeak')).toContain('84k3');
  });

  it('distractors put it between two harmless questions, chosen by the seed', () => {
    const lines = lastTurn('distractors').split('\n');
    expect(lines[2]).toBe(`2. ${request}`);
    expect(lines).toHaveLength(4);
    const choices = new Set(Array.from({ length: 12 }, (_, seed) => lastTurn('distractors', String(seed))));
    expect(choices.size).toBeGreaterThan(3);
  });

  it('multi-turn is a dialogue with two answered questions first', () => {
    const roles = attacks['multi-turn'].apply(request, 's').map(({ role }) => role);
    expect(roles).toEqual(['user', 'assistant', 'user', 'assistant', 'user']);
  });
});

describe('attackQuestions', () => {
  const question = (id: string, changes: Partial<SuiteQuestion> = {}): SuiteQuestion => ({
    ...{ id, suite: 'strongreject', category: 'c', kind: 'harmful', prompt: `ask ${id}`, goal: `ask ${id}` },
    ...changes,
  });

  it('adds every attack on every harmful question, after it; others and published attacks stay alone', () => {
    const published = question('p', { attack: 'PAIR', goal: 'ask a' });
    const attacked = attackQuestions(
      [question('a'), question('b', { kind: 'look-alike' }), published],
      ['base64', 'multi-turn'],
      '1',
    );
    expect(attacked.map(({ id, attack }) => [id, attack])).toEqual([
      ['a', undefined],
      ['a@base64', 'base64'],
      ['a@multi-turn', 'multi-turn'],
      ['b', undefined],
      ['p', 'PAIR'],
    ]);
    expect(attacked[1]).toMatchObject({ goal: 'ask a', prompt: attacks.base64.apply('ask a', '1/a')[0]!.content });
    expect(attacked[1]!.messages).toBeUndefined();
    expect(attacked[2]!.messages).toHaveLength(5);
  });
});
