import { expect, test } from 'vitest';
import { addJudgeUse } from '../../activities/judgePool.ts';

test('what steps have asked of a judge is added up; the mean latency is over the questions asked now', () => {
  const total: Record<string, number> = {};
  addJudgeUse(total, { rows: 3, seconds: 1 });
  expect(total).toEqual({});
  addJudgeUse(total, { 'judge/asked': 3, 'judge/kept': 1, 'judge/cost': 0.5, 'judge/mean_latency_ms': 100 });
  addJudgeUse(total, { 'judge/asked': 0, 'judge/kept': 6, 'judge/cost': 0, 'judge/mean_latency_ms': 0 });
  addJudgeUse(total, { 'judge/asked': 1, 'judge/kept': 0, 'judge/cost': 0.25, 'judge/mean_latency_ms': 500 });
  // (3 x 100 + 1 x 500) / 4
  expect(total).toEqual({ 'judge/asked': 4, 'judge/kept': 7, 'judge/cost': 0.75, 'judge/mean_latency_ms': 200 });
});
