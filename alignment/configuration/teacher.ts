/** Settings of a teacher: a larger model behind an OpenAI-compatible endpoint that writes in the policy's place. */
import { z } from 'zod';
import { endpointAddress, endpointLimits } from './endpoint.ts';

/** Environment variable with the teacher's key, where `teacher.apiKeyVariable` names no other. */
export const teacherKeyVariable = 'CADA_TEACHER_API_KEY';

export const teacherSchema = z.strictObject({
  ...endpointAddress(teacherKeyVariable),
  temperature: z.number().min(0).optional().describe('Absent = 0.'),
  seed: z
    .int()
    .min(0)
    .optional()
    .describe('Sent with the first sample of a prompt, seed + 1 with the second, and so on; absent = none is sent.'),
  maxTokens: z.int().min(1).optional().describe("Longest reply, in the teacher's tokens; absent = 1024."),
  maxUnanswered: z
    .number()
    .min(0)
    .max(1)
    .optional()
    .describe(
      'Share of the prompts of a shard that the teacher may refuse by an error, as content filters do, before the run waits for its operator; they are left out. Absent = 0.2.',
    ),
  ...endpointLimits,
});

export type TeacherSettings = z.infer<typeof teacherSchema>;

/** What replies depend on: part of the step keys of what is written. */
export function writingSettings({ model, temperature, seed, maxTokens, maxUnanswered }: TeacherSettings) {
  return {
    model,
    temperature: temperature ?? 0,
    maxTokens: maxTokens ?? 1024,
    maxUnanswered: maxUnanswered ?? 0.2,
    ...(seed === undefined ? {} : { seed }),
  };
}
