import { expect, test } from 'vitest';
import { configurationSchema } from '../../../alignment/configuration/schema.ts';
import { estimateRun } from '../../../alignment/plan/estimateRun.ts';
import type { ReportData } from '../../../alignment/report/reportData.ts';
import { useRows } from '../../../alignment/report/renderReport.ts';

const configuration = configurationSchema.parse({ name: 'demo' });
const planned = { ...estimateRun(configuration), storeRequests: 900, temporalActions: 140 };

function rowsOf(used: Partial<ReportData['used']>): Record<string, string[]> {
  const whole = { generatedTokens: 1, trainedTokens: null, storeBytes: 1, ...used };
  const rows = useRows({ planned, configuration, peakMemoryBytes: {}, used: whole });
  return Object.fromEntries(rows.map(([what, ...cells]) => [what!, cells]));
}

test('requests and actions stand beside what was planned; actions with their heartbeats, as the plan counts them', () => {
  expect(rowsOf({ storeRequests: 731, temporalActions: 125, heartbeats: 72 })).toMatchObject({
    'requests of the store': ['about 900', '731'],
    'actions on the Temporal server': ['about 140', '197, 72 of them heartbeats'],
  });
});

test('what could not be counted is said not to be known', () => {
  const actions = (used: Partial<ReportData['used']>) => rowsOf(used)['actions on the Temporal server']![1];
  expect(rowsOf({})['requests of the store']).toEqual(['about 900', 'not known']);
  expect(actions({ heartbeats: 72 })).toBe('not known');
  expect(actions({ temporalActions: 125 })).toBe('125, without heartbeats');
});
