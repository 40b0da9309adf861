import { describe, expect, test } from 'vitest';
import { z } from 'zod';
import {
  askingSettings,
  costOfCalls,
  endpointAddress,
  endpointLimits,
} from '../../../alignment/configuration/endpoint.ts';

const schema = z.strictObject({ ...endpointAddress('CADA_SOME_API_KEY'), ...endpointLimits });
const settings = { url: 'http://127.0.0.1:8000/v1', model: 'some' };

describe('settings of an endpoint', () => {
  test.each(['OPENAI_API_KEY', 'CADA_JUDGE_API_KEY'])('takes %s for the name of a key', (apiKeyVariable) => {
    expect(schema.safeParse({ ...settings, apiKeyVariable }).success).toBe(true);
  });
  test.each(['sk-abc123', 'AWS_SECRET_API_KEY', 'TEMPORAL_API_KEY', 'HF_TOKEN', 'PATH'])(
    'does not send %s to an address that a configuration names',
    (apiKeyVariable) => {
      const { error } = schema.safeParse({ ...settings, apiKeyVariable });
      expect(error!.issues[0]!.message).toContain('ends in _API_KEY');
    },
  );
  test('refuses a password in the address, naming the variable', () => {
    const { error } = schema.safeParse({ ...settings, url: 'http://me:secret@host/v1' });
    expect(error!.issues[0]!.message).toContain('CADA_SOME_API_KEY');
  });
});

test('askingSettings has the defaults, and budgets only where they are set', () => {
  const asked = { url: settings.url, model: 'some', concurrency: 4, timeoutMs: 60_000, attempts: 5 };
  expect(askingSettings(settings)).toEqual({ ...asked, budget: {}, price: { input: 0, output: 0 } });
  const limits = { maxCalls: 7, maxCost: 2, inputPrice: 3, outputPrice: 4, requestsPerMinute: 5, timeoutSeconds: 0.5 };
  expect(askingSettings({ ...settings, ...limits })).toEqual({
    ...asked,
    timeoutMs: 500,
    requestsPerMinute: 5,
    budget: { calls: 7, cost: 2 },
    price: { input: 3, output: 4 },
  });
});

test('costOfCalls goes by the prices of a million tokens; calls without prices are no money that is known', () => {
  expect(costOfCalls({ inputPrice: 2, outputPrice: 10 }, 1000, 500, 100)).toBeCloseTo(1000 * 1e-6 * (1000 + 1000), 9);
  expect(costOfCalls({ outputPrice: 10 }, 10, 500, 100)).toBeCloseTo(0.01, 9);
  expect(costOfCalls({}, 10, 500, 100)).toBeNull();
  expect(costOfCalls({}, 0, 500, 100)).toBe(0);
});
