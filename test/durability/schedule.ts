/** Which faults a seed brings, at which moments: every choice from one seeded generator, so that a seed that fails can be run again. */
import { uniformsFromSeed } from '../../infra/artifacts/seeds.ts';

export type Fault = Kill | Harm;

/** SIGKILL, SIGTERM: the process is gone and started anew. */
export type Kill = (typeof kills)[number];
/** Everything else that is done to processes and connections. */
export type Harm = (typeof harms)[number];

export const kills = [
  'SIGKILL gpu worker',
  'SIGKILL engine',
  'SIGKILL control worker',
  'SIGKILL judge worker',
  'SIGKILL Temporal server',
  'SIGKILL S3 server',
  'SIGTERM gpu worker',
  'SIGTERM control worker',
] as const;

export const harms = [
  'SIGSTOP gpu worker',
  'SIGSTOP engine',
  'SIGSTOP control worker',
  'SIGSTOP Temporal server',
  'SIGSTOP S3 server',
  'disk full',
  'S3: 500',
  'S3: 503 SlowDown',
  'S3: reset',
  'S3: no answer',
  'S3: truncated body',
  'S3: wrong bytes',
  'S3: wrong bytes sent',
  'S3: 1 KB/s',
  'S3: stale listing',
  'Temporal: cut',
  'Temporal: delay',
  'Temporal: no answer',
  'Temporal: 1 KB/s',
] as const;

export type Moment =
  | 'at random'
  | 'mid-generation'
  | 'mid-gradient'
  | 'mid-export'
  | 'mid-upload'
  | 'upload to manifest'
  | 'manifest to completion'
  | 'continue-as-new'
  | 'report';

export interface PlannedFault {
  fault: Fault;
  moment: Moment;
  /** Not before this share of the run's computations has begun. */
  after: number;
  /** Waited after the moment, where it is not one that holds a request. */
  delayMs: number;
  /** For faults that last. */
  lastsMs: number;
  /** Picks the machine, where the moment leaves a choice. */
  pick: number;
}

const gpuMoments: Moment[] = [
  'at random',
  'mid-generation',
  'mid-gradient',
  'mid-upload',
  'upload to manifest',
  'manifest to completion',
  'mid-export',
];
const serverMoments: Moment[] = [
  'at random',
  'mid-generation',
  'mid-gradient',
  'mid-upload',
  'upload to manifest',
  'manifest to completion',
  'continue-as-new',
  'mid-export',
];

const momentsOf: Partial<Record<Fault, Moment[]>> = {
  'SIGKILL engine': ['mid-generation', 'mid-gradient', 'mid-export'],
  'SIGKILL control worker': ['at random', 'continue-as-new', 'mid-upload', 'report'],
  'SIGTERM control worker': ['at random', 'continue-as-new', 'mid-upload'],
  'SIGSTOP control worker': ['at random', 'continue-as-new'],
  'SIGKILL judge worker': ['mid-upload', 'upload to manifest', 'manifest to completion', 'at random'],
  'SIGSTOP engine': ['mid-generation', 'mid-gradient'],
  'SIGSTOP gpu worker': ['mid-generation', 'mid-gradient', 'mid-upload', 'upload to manifest'],
  'SIGSTOP Temporal server': ['at random', 'continue-as-new'],
  'SIGSTOP S3 server': ['at random', 'mid-upload', 'report'],
  'disk full': ['mid-generation', 'mid-gradient'],
  'S3: stale listing': ['report'],
};

/** How many faults of either kind a seed brings. */
export interface Amounts {
  kills: number;
  harms: number;
}

/** What CI runs. */
export const shortForm = { seed: 1, amounts: { kills: 6, harms: 2 } };

/**
 * The faults of one seed, in the order in which they are armed. Kinds are dealt in turn over consecutive seeds, so that ten seeds have seen them all.
 * @param without faults that this machine can't do
 */
export function schedule(seed: number, amounts: Amounts, without: readonly Fault[] = []): PlannedFault[] {
  const random = uniformsFromSeed(`chaos ${seed}`);
  const among = <T>(list: readonly T[]): T => list[Math.floor(random() * list.length)]!;
  const dealt = <T extends Fault>(list: readonly T[], count: number): T[] => {
    const possible = list.filter((fault) => !without.includes(fault));
    return Array.from({ length: count }, (_, n) => possible[(seed * count + n) % possible.length]!);
  };
  const faults: Fault[] = [...dealt(kills, amounts.kills), ...dealt(harms, amounts.harms)];
  const planned = faults.map((fault): PlannedFault => {
    const moments =
      momentsOf[fault] ?? (fault.startsWith('SIGKILL') && fault.includes('server') ? serverMoments : gpuMoments);
    const moment = among(moments);
    return {
      fault,
      moment,
      after: armedAfter(moment, random()),
      delayMs: Math.round(random() * 250),
      lastsMs: Math.round(2_000 + random() * 6_000),
      pick: random(),
    };
  });
  return planned.sort((a, b) => a.after - b.after);
}

/** The driver waits for one moment after the other: those that come late are not to keep the others waiting. */
function armedAfter(moment: Moment, uniform: number): number {
  if (moment === 'report') return 0.99;
  if (moment === 'mid-export') return 0.95;
  return moment === 'continue-as-new' ? 0.5 + uniform * 0.3 : uniform * 0.85;
}

export function describeFault({ fault, moment, after, delayMs, lastsMs }: PlannedFault): string {
  return `${fault}, ${moment} (after ${Math.round(after * 100)} % of the work, +${delayMs} ms, for ${(lastsMs / 1000).toFixed(1)} s)`;
}
