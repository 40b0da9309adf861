import { readFileSync } from 'node:fs';
import { CommanderError } from 'commander';
import { describe, expect, test } from 'vitest';
import { CliError, explainError } from '../../cli/errors.ts';
import { exitCodes } from '../../cli/exitCodes.ts';
import { StoreFullError, StoreUnavailableError } from '../../infra/artifacts/artifactStore.ts';
import { ConfigurationError } from '../../infra/configuration/problems.ts';

const named = (name: string, cause?: Error): Error => Object.assign(new Error('', { cause }), { name });

describe('explainError', () => {
  test.each([
    ['a configuration problem', new ConfigurationError([]), exitCodes.badInput],
    ['a store that does not answer', new StoreUnavailableError('s3://b does not answer'), exitCodes.environment],
    [
      'a full store, deep in a chain of causes',
      new Error('activity failed', { cause: new StoreFullError('/store', 10, 5) }),
      exitCodes.environment,
    ],
    ['a model that is not there', named('ModelSourceError'), exitCodes.badInput],
    ['a model that the network withholds', named('ModelSourceError', named('AttemptFailed')), exitCodes.environment],
    ['a refused connection', Object.assign(new Error('connect'), { code: 'ECONNREFUSED' }), exitCodes.environment],
    ['a Temporal server that is away', Object.assign(new Error('14 UNAVAILABLE'), { code: 14 }), exitCodes.environment],
    ['anything else', new TypeError('x is undefined'), exitCodes.failure],
    ['an abort', new DOMException('aborted', 'AbortError'), exitCodes.interrupted],
    ['help', new CommanderError(0, 'commander.helpDisplayed', ''), exitCodes.done],
    ['a usage error', new CommanderError(1, 'commander.unknownOption', ''), exitCodes.badInput],
  ])('%s', (_what, error, exitCode) => {
    expect(explainError(error).exitCode).toBe(exitCode);
  });

  test('a chain of causes is told by its outermost and innermost message, with the innermost remedy', () => {
    const innermost = Object.assign(new Error('the file is truncated'), { remedy: 'Fetch it again.' });
    const error = new Error('Workflow execution failed', {
      cause: new Error('Activity task failed', { cause: innermost }),
    });
    expect(explainError(error)).toEqual({
      message: 'Workflow execution failed: the file is truncated',
      remedy: 'Fetch it again.',
      exitCode: exitCodes.failure,
    });
  });

  test("a command's own error keeps its words", () => {
    expect(explainError(new CliError('no', exitCodes.waiting, 'do this'))).toEqual({
      message: 'no',
      remedy: 'do this',
      exitCode: 4,
    });
  });
});

test('docs/cli.md lists every exit code', () => {
  const page = readFileSync('docs/cli.md', 'utf8');
  const listed = [...page.matchAll(/^\| (\d+) +\|/gm)].map((match) => Number(match[1]));
  expect(listed.toSorted((a, b) => a - b)).toEqual(Object.values(exitCodes).toSorted((a, b) => a - b));
});
