/** Waits for the moments at which faults are wanted, by what can be seen from outside: ledgers, and requests at the S3 proxies. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { WorkerKind } from '../../activities/types.ts';
import type { Cluster, Machine } from './cluster.ts';
import type { LedgerLine } from './logFollower.ts';
import type { PlannedFault } from './schedule.ts';
import { ledgerOf } from './training.ts';
import type { HeldRequest, SeenRequest } from './wire.ts';

/** The moment has come. */
export interface Come {
  machine: Machine;
  /** A request that is held for it, to be let go after the fault. */
  held?: HeldRequest;
}

/**
 * @param signal the run has ended: the moment will not come
 * @throws where the signal is aborted first
 */
export async function momentOf(planned: PlannedFault, cluster: Cluster, signal: AbortSignal): Promise<Come> {
  signal.throwIfAborted();
  const { fault, moment, delayMs, pick } = planned;
  const kind = kindOf(planned);
  const kinds = cluster.machines.filter((machine) => machine.kind === kind);
  const chosen = kinds[Math.floor(pick * kinds.length)]!;
  const of = (request: SeenRequest | LedgerLine): boolean => kinds.some(({ name }) => name === request.machine);
  const held = async (fits: (request: SeenRequest) => boolean): Promise<Come> => {
    const request = await cluster.wire.hold(fits, signal);
    return { machine: cluster.machine(request.machine), held: request };
  };
  const atWork = async (stage: string): Promise<Come> => {
    const { machine } = await nextComputation(cluster, stage, signal);
    // The export is soon over.
    await sleep(stage === 'exportPolicy' ? delayMs / 5 : delayMs);
    return { machine: cluster.machine(machine) };
  };
  switch (moment) {
    case 'at random':
      await sleep(delayMs * 10, undefined, { signal });
      return { machine: chosen };
    case 'mid-generation':
      return atWork('generateChains');
    case 'mid-gradient':
      return atWork('computeGradients');
    case 'mid-export':
      return atWork('exportPolicy');
    case 'mid-upload':
      return held(
        ({ method, key, phase, ...request }) =>
          of({ method, key, phase, ...request }) && method === 'PUT' && phase === 'asked' && key.startsWith('objects/'),
      );
    case 'upload to manifest':
      return held((request) => of(request) && isManifest(request) && request.phase === 'asked');
    case 'manifest to completion':
      return held((request) => of(request) && isManifest(request) && request.phase === 'answered');
    case 'continue-as-new': {
      // The record of an iteration is the last thing before it.
      const request = await cluster.wire.hold(
        ({ method, key, phase }) => method === 'PUT' && /^runs\/.*\/iterations\//.test(key) && phase === 'answered',
        signal,
      );
      request.letGo('pass');
      await sleep(delayMs);
      return { machine: fault.includes('control') ? cluster.machine(request.machine) : chosen };
    }
    case 'report': {
      // The first that the report's activity does is to read the record, after the export has been recorded.
      if (!ledgerOf(cluster).some(({ stage }) => stage === 'exportPolicy'))
        await nextComputation(cluster, 'exportPolicy', signal);
      return held(
        ({ machine, method, key }) =>
          cluster.machine(machine).kind === 'control' && method === 'PUT' && /\/run\.json$/.test(key),
      );
    }
  }
}

function kindOf({ fault, moment, pick }: PlannedFault): WorkerKind {
  if (fault.includes('control') || moment === 'report') return 'control';
  if (fault.includes('judge')) return 'judge';
  // A bad connection may be anyone's.
  if (moment === 'at random' && /^(S3|Temporal):/.test(fault))
    return pick < 0.3 ? 'control' : pick > 0.85 ? 'judge' : 'gpu';
  return 'gpu';
}

const isManifest = ({ method, key }: SeenRequest): boolean => method === 'PUT' && key.startsWith('steps/');

function nextComputation(cluster: Cluster, stage: string, signal: AbortSignal): Promise<LedgerLine> {
  signal.throwIfAborted();
  return new Promise((come, reject) => {
    const stop = (): void => {
      for (const { log } of cluster.machines) log.onLine = () => undefined;
    };
    signal.addEventListener(
      'abort',
      () => {
        stop();
        reject(signal.reason as Error);
      },
      { once: true },
    );
    for (const { log } of cluster.machines) {
      log.onLine = (line) => {
        if (line.msg !== 'computes' || line.stage !== stage) return;
        stop();
        come(line);
      };
    }
  });
}
