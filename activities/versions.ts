/**
 * Versions of the stages: part of their step keys. Raise a stage's number when its outcome for the same inputs changes; artifacts of the old version
 * then no longer count as done.
 */
export const stageVersions = {
  prepareModel: 1,
  createAdapter: 1,
  generateChains: 1,
  askTeacher: 1,
  guardChains: 1,
  rewardChains: 1,
  measureUtility: 2,
  scorePreferences: 2,
  embedTexts: 2,
  judgeByPolicy: 2,
  judgeByEndpoint: 1,
  computeGradients: 3,
  updatePolicy: 1,
  exportPolicy: 2,
} as const;
