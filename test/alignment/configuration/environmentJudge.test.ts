import { describe, expect, it } from 'vitest';
import { withEnvironmentJudge } from '../../../alignment/configuration/environmentJudge.ts';
import { configurationSchema } from '../../../alignment/configuration/schema.ts';
import { parseConfiguration } from '../../../infra/configuration/readConfiguration.ts';

const text = 'name: a\nenvironmentJudge: { codes: detailed, votes: 3, refuseHarmful: 0 }\n';
const named = { CADA_JUDGE_URL: 'http://127.0.0.1:1/v1', CADA_JUDGE_MODEL: 'judge' };

describe('a judge that the environment may name', () => {
  it('is none without the variables: the configuration is the one without the section', () => {
    const plain = parseConfiguration('name: a\n', 'a.yaml', {});
    expect(parseConfiguration(text, 'a.yaml', {})).toEqual(plain);
    expect(parseConfiguration(text, 'a.yaml', { CADA_JUDGE_URL: '', CADA_JUDGE_MODEL: '' })).toEqual(plain);
    expect(plain.rewards).toMatchObject({ refuseHarmful: 1 });
    // A configuration without the section takes no notice of the environment.
    expect(parseConfiguration('name: a\n', 'a.yaml', named)).toEqual(plain);
  });

  it('grades where they name one, with its weights', () => {
    const { judge, rewards, ...rest } = parseConfiguration(text, 'a.yaml', named);
    expect(judge).toEqual({ url: 'http://127.0.0.1:1/v1', model: 'judge', codes: 'detailed', votes: 3 });
    expect(rewards).toMatchObject({ graded: 1, refuseHarmful: 0, answerPlain: 1 });
    expect(rest).not.toHaveProperty('environmentJudge');
    expect(configurationSchema.parse({ judge, rewards, ...rest })).toEqual({ judge, rewards, ...rest });
    const weighted = configurationSchema.parse({ name: 'a', environmentJudge: { graded: 2 } });
    expect(withEnvironmentJudge(weighted, named).rewards).toMatchObject({ graded: 2, refuseHarmful: 1 });
  });

  it.each([
    [{ CADA_JUDGE_URL: named.CADA_JUDGE_URL }, 'the environment has CADA_JUDGE_URL but not CADA_JUDGE_MODEL'],
    [{ CADA_JUDGE_MODEL: 'judge' }, 'the environment has CADA_JUDGE_MODEL but not CADA_JUDGE_URL'],
    [{ ...named, CADA_JUDGE_URL: 'ftp://x' }, 'CADA_JUDGE_URL of the environment does not name a judge'],
    [{ ...named, CADA_JUDGE_URL: 'http://me:secret@x/v1' }, 'an address without user name and password'],
  ])('is refused where %o is wrong, at its place in the file', (env, message) => {
    const read = () => parseConfiguration(text, 'a.yaml', env);
    expect(read).toThrow(message);
    expect(read).toThrow(/^The configuration has one problem:\na\.yaml:2:\d+ {2}environmentJudge: /);
    expect(read).not.toThrow('secret');
  });

  it('stands beside no other judge, and holds the weight of its grades itself', () => {
    const judge = '\njudge: { url: http://127.0.0.1:1/v1, model: judge }\n';
    expect(() => parseConfiguration(text + judge, 'a.yaml', {})).toThrow('names a judge already');
    const graded = '\nrewards: { graded: 1 }\n';
    expect(() => parseConfiguration(text + graded, 'a.yaml', {})).toThrow('leave rewards.graded out');
  });
});
