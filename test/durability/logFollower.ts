/** A worker's log as it grows: the ledger of what was computed (activities/stage.ts), with the moment at which it was seen. */
import { closeSync, existsSync, fstatSync, openSync, readSync } from 'node:fs';
import type { LedgerEntry } from '../workflows/ledger.ts';

export interface LedgerLine extends LedgerEntry {
  /** The worker's, in the cluster. */
  machine: string;
}

export interface LogFollower {
  /** What has been read so far. */
  ledger: LedgerLine[];
  /** Times at which a worker became ready. */
  ready: number;
  onLine: (line: LedgerLine) => void;
  /** Reads what is new now. */
  read(): void;
  stop(): void;
}

const pollMs = 15;

export function followLog(file: string, machine: string): LogFollower {
  let at = 0;
  let rest = '';
  const follower: LogFollower = {
    ledger: [],
    ready: 0,
    onLine: () => undefined,
    read,
    stop: () => clearInterval(timer),
  };
  const timer = setInterval(read, pollMs);

  function read(): void {
    if (!existsSync(file)) return;
    const opened = openSync(file, 'r');
    try {
      const size = fstatSync(opened).size;
      if (size <= at) return;
      const bytes = Buffer.alloc(size - at);
      at += readSync(opened, bytes, 0, bytes.length, at);
      const lines = (rest + bytes.toString('utf8')).split('\n');
      rest = lines.pop() ?? '';
      lines.forEach(take);
    } finally {
      closeSync(opened);
    }
  }

  function take(text: string): void {
    if (text.includes('"worker ready"')) follower.ready += 1;
    if (!text.includes('"key"')) return;
    let line: LedgerLine;
    try {
      line = { ...(JSON.parse(text) as LedgerLine), machine };
    } catch {
      return; // Half a line of a killed process.
    }
    if (line.msg !== 'computes' && line.msg !== 'has') return;
    // A worker whose clock has been set knows no better; it is read within moments.
    if (Math.abs(Date.now() - Date.parse(line.time)) > 60_000) line.time = new Date().toISOString();
    follower.ledger.push(line);
    follower.onLine(line);
  }
  return follower;
}
