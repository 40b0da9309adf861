import { createServer, request } from 'node:http';
import type { IncomingMessage, Server } from 'node:http';
import type { AddressInfo } from 'node:net';

/**
 * What the proxy does with a request: pass it on; pass it on and cut the connection instead of answering; answer with a
 * status without passing it on; cut the answer's body after some bytes; flip a bit of the answer's body.
 */
export type Fault = 'none' | 'dropAnswer' | { status: number } | { cutAfterBytes: number } | 'flipBit';

export interface FaultyProxy {
  endpoint: string;
  /** Decides about each request, in the order of their arrival. */
  onRequest: (request: { method: string; url: string; headers: IncomingMessage['headers'] }) => Fault;
  stop(): Promise<void>;
}

/** An HTTP proxy before a real server, for networks that fail in chosen ways. Signed headers pass unchanged. */
export async function startFaultyProxy(target: string): Promise<FaultyProxy> {
  const { hostname, port } = new URL(target);
  const server: Server = createServer((incoming, outgoing) => {
    const fault = proxy.onRequest({
      method: incoming.method ?? '',
      url: incoming.url ?? '',
      headers: incoming.headers,
    });
    if (typeof fault === 'object' && 'status' in fault) {
      incoming.resume();
      incoming.on('end', () => outgoing.writeHead(fault.status).end());
      return;
    }
    const forwarded = request(
      { hostname, port, method: incoming.method, path: incoming.url, headers: incoming.headers },
      (answer) => {
        if (fault === 'dropAnswer') {
          answer.resume();
          answer.on('end', () => incoming.socket.destroy());
          return;
        }
        outgoing.writeHead(answer.statusCode ?? 502, answer.headers);
        let passed = 0;
        answer.on('data', (chunk: Buffer) => {
          if (fault === 'flipBit' && passed === 0) chunk[0] = (chunk[0] ?? 0) ^ 1;
          passed += chunk.length;
          outgoing.write(chunk);
          if (typeof fault === 'object' && passed >= fault.cutAfterBytes) incoming.socket.destroy();
        });
        answer.on('end', () => outgoing.end());
      },
    );
    forwarded.on('error', () => incoming.socket.destroy());
    incoming.pipe(forwarded);
  });
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  const proxy: FaultyProxy = {
    endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    onRequest: () => 'none',
    stop: () =>
      new Promise((done) => {
        server.close(() => done());
        server.closeAllConnections();
      }),
  };
  return proxy;
}
