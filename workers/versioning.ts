/** Worker versioning: which build of the workflows a control worker serves, where the operator says so (docs/upgrades.md). */
import type { WorkerOptions } from '@temporalio/worker';

/**
 * `CADA_BUILD_ID` names the build of a control worker in the deployment `CADA_DEPLOYMENT` (default: `cada`). Without it the worker is not versioned: it
 * takes the tasks of every workflow that none of the deployment's builds has a claim to.
 */
export function versioningOf(env: NodeJS.ProcessEnv): Pick<WorkerOptions, 'workerDeploymentOptions'> {
  const buildId = env.CADA_BUILD_ID;
  if (!buildId) return {};
  return {
    workerDeploymentOptions: {
      version: { deploymentName: env.CADA_DEPLOYMENT || 'cada', buildId },
      useWorkerVersioning: true,
      // Each workflow says its own: see the workflows.
      defaultVersioningBehavior: 'AUTO_UPGRADE',
    },
  };
}
