/** A TCP proxy before a server whose protocol it does not know (Temporal's gRPC): cuts, delays, stops and slows its connections. */
import { connect, createServer, type Socket } from 'node:net';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

export interface TcpProxy {
  /** "127.0.0.1:PORT" */
  address: string;
  /** Resets every connection there is. */
  cut(): void;
  /** Nothing passes in either direction, nothing is refused, until it is called with false. */
  freeze(frozen: boolean): void;
  /** New connections are reset until it is called with false. */
  refuse(refusing: boolean): void;
  /** Each piece of data waits so long. @param ms 0: no delay */
  delay(ms: number): void;
  /** @param bytesPerSecond 0: as fast as can be */
  slow(bytesPerSecond: number): void;
  /** Another server from now on; connections to the old one are reset. */
  retarget(target: string): void;
  stop(): Promise<void>;
}

/** @param target "host:port" */
export async function startTcpProxy(target: string): Promise<TcpProxy> {
  let { hostname, port } = new URL(`tcp://${target}`);
  const open = new Set<Socket>();
  const state = { refusing: false, delayMs: 0, bytesPerSecond: 0 };
  let thaw: { promise: Promise<void>; resolve: () => void } | undefined;

  const server = createServer((client) => {
    if (state.refusing) return void client.resetAndDestroy();
    const upstream = connect(Number(port), hostname);
    for (const [from, to] of [
      [client, upstream],
      [upstream, client],
    ] as const) {
      open.add(from);
      from.on('error', () => undefined);
      from.on('close', () => {
        open.delete(from);
        to.destroy();
      });
      void relay(from, to);
    }
  });

  async function relay(from: Socket, to: Socket): Promise<void> {
    try {
      for await (const chunk of from) {
        await thaw?.promise;
        if (state.delayMs > 0) await sleep(state.delayMs);
        await write(to, chunk as Buffer);
      }
      to.end();
    } catch {
      to.destroy();
    }
  }

  async function write(to: Socket, chunk: Buffer): Promise<void> {
    for (let at = 0; at < chunk.length;) {
      const piece = state.bytesPerSecond > 0 ? Math.max(1, Math.ceil(state.bytesPerSecond / 10)) : chunk.length;
      if (state.bytesPerSecond > 0) await sleep(100);
      const part = chunk.subarray(at, at + piece);
      if (!to.write(part)) await new Promise((done) => to.once('drain', done).once('close', done));
      at += piece;
    }
  }

  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  const cut = (): void => open.forEach((socket) => socket.resetAndDestroy());
  return {
    address: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    cut,
    freeze(frozen) {
      if (frozen) thaw ??= Promise.withResolvers<void>();
      else {
        thaw?.resolve();
        thaw = undefined;
      }
    },
    refuse: (refusing) => void (state.refusing = refusing),
    delay: (ms) => void (state.delayMs = ms),
    slow: (bytesPerSecond) => void (state.bytesPerSecond = bytesPerSecond),
    retarget(next) {
      ({ hostname, port } = new URL(`tcp://${next}`));
      cut();
    },
    stop: () =>
      new Promise((done) => {
        thaw?.resolve();
        server.close(() => done());
        cut();
      }),
  };
}
