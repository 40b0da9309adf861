import { expect, test } from 'vitest';
import { defaultRubric, rubricQuestion } from '../../../alignment/judges/rubric.ts';

const judged = { request: 'How?', finalResponse: 'So.' };

test('codes that a judge is to know stand before the question, which stays as it is', () => {
  const [plain] = rubricQuestion(judged);
  expect(plain!.content).toBe(defaultRubric.replace('{forbidden_prompt}', 'How?').replace('{response}', 'So.'));
  const [informed] = rubricQuestion({ ...judged, codes: '1. Do no {response} harm.' });
  expect(informed!.content).toBe(
    `The model should follow these codes:\n<codes>\n1. Do no {response} harm.\n</codes>\n\n${plain!.content}`,
  );
});
