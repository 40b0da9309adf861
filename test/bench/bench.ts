/** What every row measures with: the model, our engine, the peers, and the number of runs. */
import { startEngine } from '../../engine/host/engineClient.ts';
import type { HostedEngine } from '../../engine/host/engineClient.ts';
import type { BenchModel } from './models.ts';
import type { Measurement } from './figures.ts';
import type { PeerName, Peers } from './peers/peers.ts';
import type { PeerProcess } from './peers/peerProcess.ts';

export class Bench {
  readonly runs: number;
  readonly model: BenchModel;
  /** Folder for what measurements write; removed afterwards. */
  readonly scratch: string;
  private readonly peers: Peers;
  private readonly measured = new Map<string, Promise<unknown>>();
  private shared: HostedEngine | undefined;

  constructor({ runs, model, scratch, peers }: { runs: number; model: BenchModel; scratch: string; peers: Peers }) {
    this.runs = runs;
    this.model = model;
    this.scratch = scratch;
    this.peers = peers;
  }

  /** The engine that speed is measured with, in its own process as in a run. */
  get engine(): HostedEngine {
    return (this.shared ??= startEngine(this.model.settings));
  }

  /** An engine that has done nothing yet, for figures of memory and starting; ends after `use`. */
  async withFreshEngine<T>(use: (engine: HostedEngine) => Promise<T>): Promise<T> {
    const engine = startEngine(this.model.settings);
    try {
      return await use(engine);
    } finally {
      await engine.close();
    }
  }

  /** Undefined where the peer is not installed or not wanted. */
  peer(name: PeerName, args?: readonly string[]): Promise<PeerProcess | undefined> {
    return this.peers.open(name, this.model, args);
  }

  /** A measurement that several rows read is made once. */
  once<T>(key: string, measure: () => Promise<T>): Promise<T> {
    const known = this.measured.get(key) ?? measure();
    this.measured.set(key, known);
    return known as Promise<T>;
  }

  /** Ours and the peer in turn, `runs` times each, after a first time that does not count. */
  async inTurn(ours: () => Promise<number>, peer?: () => Promise<number>): Promise<Measurement> {
    await ours();
    await peer?.();
    const measurement: Measurement = { ours: [], ...(peer ? { peer: [] } : {}) };
    for (let run = 0; run < this.runs; run++) {
      measurement.ours.push(await ours());
      if (peer) measurement.peer!.push(await peer());
    }
    return measurement;
  }

  /** Frees our engine's memory. */
  async release(): Promise<void> {
    await this.shared?.close();
    this.shared = undefined;
  }

  async close(): Promise<void> {
    await this.release();
    await this.peers.close();
  }
}
