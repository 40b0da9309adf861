/** What the sections of warm start, iteration and evaluation have in common. */
import { z } from 'zod';

export const positive = z.int().min(1);
export const share = z.number().min(0).max(1);

export const requestCounts = z.strictObject({
  harmful: z.int().min(0).describe('Harmful requests.'),
  plain: z.int().min(0).describe('Plain harmless requests.'),
  lookAlike: z.int().min(0).describe('Harmless requests that look harmful.'),
});

export const optimizerFields = {
  learningRate: z.number().positive().describe('Highest learning rate of AdamW.'),
  schedule: z
    .enum(['constant', 'cosine', 'linear'])
    .describe('How the learning rate goes on after the warm-up: it stays, or falls to 0.'),
  warmupRatio: share.describe('Part of the steps in which the learning rate rises.'),
  weightDecay: z.number().min(0).describe('Decoupled weight decay of AdamW.'),
  maxGradNorm: z.number().min(0).describe('Global gradient norm to clip to; 0 = no clipping.'),
};

export type RequestCounts = z.infer<typeof requestCounts>;
