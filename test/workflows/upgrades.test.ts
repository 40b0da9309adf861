/** Two builds of the workflows at once: an iteration under way ends on the build that it began on, the next one begins on the newer. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { eventually } from '../servers/temporalServer.ts';
import { instantConfiguration, startInstantCluster, type InstantCluster } from './instantStages.ts';

const deploymentName = 'cada';
let cluster: InstantCluster;
beforeAll(async () => {
  cluster = await startInstantCluster({ build: { deploymentName, buildId: 'one' } });
}, 120_000);
afterAll(() => cluster?.stop());

async function makeCurrent(buildId: string): Promise<void> {
  const { namespace } = cluster.client.options;
  const current = async (): Promise<boolean> => {
    try {
      await cluster.client.workflowService.setWorkerDeploymentCurrentVersion({
        namespace,
        deploymentName,
        buildId,
        identity: 'test',
      });
      return true;
    } catch {
      // The server has not heard of the build yet.
      return false;
    }
  };
  await eventually(`build ${buildId} is known`, current);
}

/** The build that a workflow is or was at work on. */
async function buildOf(workflowId: string): Promise<string | undefined> {
  const { raw } = await cluster.client.workflow.getHandle(workflowId).describe();
  const { deploymentVersion, version } = raw.workflowExecutionInfo?.versioningInfo ?? {};
  return deploymentVersion?.buildId ?? version?.split('.').at(-1);
}

test('a newer build is taken at the boundary of an iteration; the iteration under way is left to its own', async () => {
  await makeCurrent('one');
  let letGo!: () => void;
  const held = new Promise<void>((done) => (letGo = done));
  let reached = false;
  cluster.script.before = async (stage, step) => {
    if (stage !== 'generateChains' || step?.iteration !== 2) return;
    reached = true;
    await held;
  };
  const handle = await cluster.start('upgraded', instantConfiguration());
  await eventually('its second iteration', () => reached, 60_000);
  expect(await buildOf('upgraded/iteration-1')).toBe('one');
  expect(await buildOf('upgraded/iteration-2')).toBe('one');

  await cluster.addBuild({ deploymentName, buildId: 'two' });
  await makeCurrent('two');
  letGo();
  await handle.result();
  expect(await buildOf('upgraded/iteration-2')).toBe('one');
  expect(await buildOf('upgraded/iteration-3')).toBe('two');
  expect(await buildOf('upgraded')).toBe('two');
  expect(await cluster.record('upgraded')).toMatchObject({ state: 'done', iteration: 3 });
}, 120_000);
