/** The workflows that a control worker serves. */
export { alignPolicy } from './alignPolicy.ts';
export { archiveRun } from './archiveRun.ts';
export { compareArms } from './compareArms.ts';
export { draftCases } from './draftCases.ts';
export { evaluatePolicy } from './evaluatePolicy.ts';
export { evaluateSuites } from './evaluateSuites.ts';
export { runIteration } from './runIteration.ts';
export { warmStartPolicy } from './warmStartPolicy.ts';
