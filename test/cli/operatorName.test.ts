import { expect, test } from 'vitest';
import { operatorName } from '../../cli/operatorName.ts';

test('who gives a command is named by the one rule for names, and told where a wrong one came from', () => {
  expect(operatorName({ env: {} }, ' Ann Öz ')).toBe('Ann Öz');
  expect(operatorName({ env: { CADA_OPERATOR: 'Bo' } })).toBe('Bo');
  expect(operatorName({ env: { CADA_OPERATOR: '' } })).not.toBe('');
  expect(() => operatorName({ env: {} }, ' ')).toThrow('--by must be a name of 1 to 100 characters.');
  expect(() => operatorName({ env: { CADA_OPERATOR: 'a\u001b[2J' } })).toThrow(
    'CADA_OPERATOR must be a name on one line',
  );
});
