import { expect, test } from 'vitest';
import { asksTeacher } from '../../../alignment/configuration/chainSource.ts';
import { configurationSchema } from '../../../alignment/configuration/schema.ts';
import { writingSettings } from '../../../alignment/configuration/teacher.ts';

const teacher = { url: 'http://127.0.0.1:8000/v1', model: 'large' };
const parse = (settings: object) => configurationSchema.safeParse({ name: 'sources', ...settings });

test.each([
  [{ warmStart: { source: 'teacher' } }, 'warmStart.source', 'add the section teacher'],
  [{ warmStart: { source: 'deliberation', deliberation: { by: 'teacher' } } }, 'warmStart.source', 'no teacher to ask'],
  [{ warmStart: { source: 'teacher', target: 'refusal' }, teacher }, 'warmStart.source', 'learns no chains'],
  [
    { warmStart: { source: 'deliberation', enabled: false }, iteration: { klReference: 'base' } },
    'warmStart.source',
    'there is no warm start',
  ],
  [{ warmStart: { deliberation: { rounds: 2 } } }, 'warmStart.deliberation', "only source 'deliberation' reads it"],
  [{ warmStart: { source: 'teacher', deliberation: {} }, teacher }, 'warmStart.deliberation', 'with by: teacher'],
  [{ warmStart: { source: 'oracle' } }, 'warmStart.source', 'expected one of'],
  [{ warmStart: { source: 'deliberation', deliberation: { rounds: 0 } } }, 'warmStart.deliberation.rounds', '>=1'],
  [{ warmStart: { source: 'deliberation', deliberation: { agents: 1 } } }, 'warmStart.deliberation.agents', '>=2'],
  [{ teacher: { ...teacher, apiKeyVariable: 'sk-live-1' } }, 'teacher.apiKeyVariable', 'ends in _API_KEY'],
  [{ teacher: { ...teacher, url: 'http://me:pw@host/v1' } }, 'teacher.url', 'CADA_TEACHER_API_KEY'],
  [{ teacher: { ...teacher, maxUnanswered: 2 } }, 'teacher.maxUnanswered', '<=1'],
])('%j is refused at %s', (settings, path, message) => {
  const issue = parse(settings).error!.issues.find((one) => one.path.join('.') === path);
  expect(issue?.message).toContain(message);
});

test('a teacher is asked where chains, or agents, are its own', () => {
  const asks = (warmStart: object) => asksTeacher(parse({ warmStart, teacher }).data!);
  expect(asks({})).toBe(false);
  expect(asks({ source: 'teacher' })).toBe(true);
  expect(asks({ source: 'deliberation' })).toBe(false);
  expect(asks({ source: 'deliberation', deliberation: { by: 'teacher' } })).toBe(true);
});

test('limits, prices and keys of a teacher are no part of what its replies depend on', () => {
  const limits = { maxCalls: 3, maxCost: 1, inputPrice: 1, concurrency: 2, apiKeyVariable: 'OTHER_API_KEY' };
  expect(writingSettings({ ...teacher, ...limits })).toEqual(writingSettings(teacher));
  expect(writingSettings({ ...teacher, seed: 4 })).toEqual({
    ...{ model: 'large', temperature: 0, maxTokens: 1024, maxUnanswered: 0.2, seed: 4 },
  });
});

test('none of the settings is part of a configuration that sets none', () => {
  const { data } = parse({});
  expect(data).not.toHaveProperty('teacher');
  expect(data!.warmStart).not.toHaveProperty('source');
  expect(data!.warmStart).not.toHaveProperty('deliberation');
});
