/** How workflows take newer builds of themselves, where control workers are versioned (docs/upgrades.md): a server refuses to be told by others. */
import { setWorkflowOptions, workflowInfo } from '@temporalio/workflow';

type Workflow = Parameters<typeof setWorkflowOptions>[1];

/** Goes over to a newer build at its next workflow task: changes to it need a patch. */
export function takesNewerBuilds(workflow: Workflow): void {
  setBehavior('AUTO_UPGRADE', workflow);
}

/** Ends on the build that it began on. */
export function endsOnItsBuild(workflow: Workflow): void {
  setBehavior('PINNED', workflow);
}

function setBehavior(versioningBehavior: 'AUTO_UPGRADE' | 'PINNED', workflow: Workflow): void {
  setWorkflowOptions(
    () => (workflowInfo().currentDeploymentVersion?.deploymentName ? { versioningBehavior } : {}),
    workflow,
  );
}
