import { describe, expect, it } from 'vitest';
import { chainFormatProblems } from '../../../alignment/configuration/chainFormat.ts';
import { configurationSchema } from '../../../alignment/configuration/schema.ts';

const expression = 'W:(?<analysis>[^\\n]*)\\nA:(?<response>.*)';
const example = 'W:{analysis}\nA:{response}';
const problemsOf = (pattern: object) =>
  chainFormatProblems({ format: 'pattern', pattern }).map(({ path, message }) => `${path.join('.')}: ${message}`);

describe('chain format', () => {
  it('is no part of a configuration that sets none', () => {
    const { chain } = configurationSchema.parse({ name: 'a' });
    expect(Object.keys(chain).sort()).toEqual(['analysisHeading', 'maxNewTokens', 'responseHeading']);
  });

  it.each([
    { format: 'headings' },
    { format: 'think' },
    { format: 'think', thinking: true },
    { thinking: false },
    { format: 'pattern', pattern: { analysisMarker: 'W:', responseMarker: 'A:' } },
    {
      format: 'pattern',
      pattern: {
        expression: '<w>(?<analysis>.*)</w>\\s*<a>(?<response>.*)</a>',
        example: '<w>{analysis}</w>\n<a>{response}</a>',
      },
    },
  ])('takes %j', (chain) => {
    expect(configurationSchema.parse({ name: 'a', chain }).chain).toMatchObject(chain);
  });

  it.each([
    [{}, 'pattern: is empty'],
    [{ analysisMarker: 'W:' }, 'pattern: responseMarker is missing'],
    [{ responseMarker: 'A:' }, 'pattern: analysisMarker is missing'],
    [{ analysisMarker: ' ', responseMarker: 'A:' }, 'pattern.analysisMarker: is blank'],
    [{ analysisMarker: 'A:', responseMarker: '\nA:' }, 'pattern.responseMarker: one marker is part of the other'],
    [{ expression, example, responseMarker: 'A:' }, 'pattern.expression: stands beside markers'],
    [{ analysisMarker: 'W:', responseMarker: 'A:', example }, 'pattern.example: is only read with `expression`'],
    [{ expression: '(', example }, 'pattern.expression: is no regular expression'],
    [{ expression: 'a)(?:b', example }, 'pattern.expression: is no regular expression'],
    [{ expression: '(?<analysis>.*)', example }, 'pattern.expression: has no group (?<response>...)'],
    [{ expression: '(.*)(?<response>.*)', example }, 'pattern.expression: has no group (?<analysis>...)'],
    [{ expression: '(?<analysis>(a+)+)(?<response>.*)', example }, 'pattern.expression: repeats a group'],
    [{ expression }, 'pattern: example is missing'],
    [{ expression, example: 'W:{analysis}' }, 'pattern.example: needs {response} exactly once'],
    // Two lines are none that [^\n]* takes.
    [{ expression, example }, 'pattern.example: is not what `expression` matches'],
    [
      { expression: '.*.*.*.*.*W(?<analysis>.*)A(?<response>.*)!', example: 'W{analysis}A{response}!' },
      'pattern.expression: takes too long on long chains',
    ],
  ])('says what is wrong with %j', (pattern, message) => {
    const [problem, ...more] = problemsOf(pattern);
    expect(problem).toContain(message);
    expect(more).toEqual([]);
  });

  it.each([
    [{ format: 'pattern' }, 'format', 'needs the section `pattern`'],
    [{ pattern: { analysisMarker: 'a', responseMarker: 'b' } }, 'pattern', 'set that too, or leave this out'],
    [{ format: 'think', thinking: false }, 'thinking', 'leave it out, or use another format'],
  ])('refuses %j', (chain, key, message) => {
    const { success, error } = configurationSchema.safeParse({ name: 'a', chain });
    expect(success).toBe(false);
    expect(error!.issues.map(({ path }) => path.join('.'))).toEqual([`chain.${key}`]);
    expect(error!.issues[0]!.message).toContain(message);
  });
});
