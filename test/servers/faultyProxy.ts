/** An HTTP proxy before a real server, for networks that fail in chosen ways. Signed headers pass unchanged. */
import { createServer, request } from 'node:http';
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Transform } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';

/**
 * What the proxy does with a request: pass it on; pass it on and cut the connection instead of answering; answer with a
 * status (and an S3 error code) without passing it on; cut the answer's body after some bytes; flip a bit of the answer's
 * body, or of the request's; cut the connection before anything is passed on; never answer; pass on both bodies so many
 * bytes a second; wait first; answer a listing as it was before its newest object came.
 */
export type Fault =
  | 'none'
  | 'dropAnswer'
  | { status: number; code?: string }
  | { cutAfterBytes: number }
  | 'flipBit'
  | 'flipSentBit'
  | 'reset'
  | 'noAnswer'
  | { bytesPerSecond: number }
  | { delayMs: number }
  | 'staleListing';

export interface ProxiedRequest {
  method: string;
  url: string;
  headers: IncomingMessage['headers'];
}

export interface FaultyProxy {
  endpoint: string;
  /** Decides about each request, in the order of their arrival; the request waits for the decision. */
  onRequest: (request: ProxiedRequest) => Fault | Promise<Fault>;
  /** Called when the server has answered and nothing of the answer has been passed on; it waits. */
  onAnswer: (request: ProxiedRequest, status: number) => 'none' | 'reset' | Promise<'none' | 'reset'>;
  stop(): Promise<void>;
}

export async function startFaultyProxy(target: string): Promise<FaultyProxy> {
  const { hostname, port } = new URL(target);
  const server: Server = createServer((incoming, outgoing) => {
    // A client that was killed in the middle is no error of ours.
    incoming.on('error', () => undefined);
    outgoing.on('error', () => undefined);
    serve(incoming, outgoing).catch(() => incoming.socket.destroy());
  });
  // A client may be stopped for long: Node's own limits must not end its connection.
  server.requestTimeout = 0;
  server.keepAliveTimeout = 60_000;

  async function serve(incoming: IncomingMessage, outgoing: ServerResponse): Promise<void> {
    const asked: ProxiedRequest = {
      method: incoming.method ?? '',
      url: incoming.url ?? '',
      headers: incoming.headers,
    };
    const decided = proxy.onRequest(asked);
    const fault = decided instanceof Promise ? await decided : decided;
    if (fault === 'reset') return void incoming.socket.resetAndDestroy();
    if (fault === 'noAnswer') return void incoming.resume();
    if (typeof fault === 'object' && 'status' in fault) return refuse(incoming, outgoing, fault);
    if (typeof fault === 'object' && 'delayMs' in fault) await sleep(fault.delayMs);

    const forwarded = request(
      { hostname, port, method: incoming.method, path: incoming.url, headers: incoming.headers },
      (answer) => {
        answer.on('error', () => incoming.socket.destroy());
        pass(answer).catch(() => incoming.socket.destroy());
      },
    );
    async function pass(answer: IncomingMessage): Promise<void> {
      const verdict = proxy.onAnswer(asked, answer.statusCode ?? 0);
      if ((verdict instanceof Promise ? await verdict : verdict) === 'reset' || fault === 'dropAnswer') {
        answer.resume();
        answer.on('end', () => incoming.socket.destroy());
        return;
      }
      if (fault === 'staleListing') return passStaleListing(answer, outgoing);
      outgoing.writeHead(answer.statusCode ?? 502, answer.headers);
      if (typeof fault === 'object' && 'bytesPerSecond' in fault) {
        answer.pipe(slowly(fault.bytesPerSecond)).pipe(outgoing);
        return;
      }
      let passed = 0;
      answer.on('data', (chunk: Buffer) => {
        if (fault === 'flipBit' && passed === 0) chunk[0] = (chunk[0] ?? 0) ^ 1;
        passed += chunk.length;
        outgoing.write(chunk);
        if (typeof fault === 'object' && 'cutAfterBytes' in fault && passed >= fault.cutAfterBytes)
          incoming.socket.destroy();
      });
      answer.on('end', () => outgoing.end());
    }
    forwarded.on('error', () => incoming.socket.destroy());
    incoming.socket.once('close', () => forwarded.destroy());
    if (typeof fault === 'object' && 'bytesPerSecond' in fault)
      incoming.pipe(slowly(fault.bytesPerSecond)).pipe(forwarded);
    else if (fault === 'flipSentBit') incoming.pipe(flippingFirstBit()).pipe(forwarded);
    else incoming.pipe(forwarded);
  }

  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  const proxy: FaultyProxy = {
    endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    onRequest: () => 'none',
    onAnswer: () => 'none',
    stop: () =>
      new Promise((done) => {
        server.close(() => done());
        server.closeAllConnections();
      }),
  };
  return proxy;
}

function refuse(
  incoming: IncomingMessage,
  outgoing: ServerResponse,
  { status, code }: { status: number; code?: string },
): void {
  incoming.resume();
  incoming.on('end', () => {
    if (code === undefined || incoming.method === 'HEAD') return outgoing.writeHead(status).end();
    const body = `<?xml version="1.0" encoding="UTF-8"?><Error><Code>${code}</Code><Message>by the proxy</Message></Error>`;
    return outgoing.writeHead(status, { 'content-type': 'application/xml', 'content-length': body.length }).end(body);
  });
}

/** Leaves out the newest object of an S3 listing. */
async function passStaleListing(answer: IncomingMessage, outgoing: ServerResponse): Promise<void> {
  const chunks: Buffer[] = [];
  for await (const chunk of answer) chunks.push(chunk as Buffer);
  let text = Buffer.concat(chunks).toString();
  const entries = text.match(/<Contents>.*?<\/Contents>/gs) ?? [];
  const timeOf = (entry: string): string => /<LastModified>(.*?)</.exec(entry)?.[1] ?? '';
  const newest = entries.reduce(
    (latest, entry) => (timeOf(entry) >= timeOf(latest) ? entry : latest),
    entries[0] ?? '',
  );
  if (newest !== '') text = text.replace(newest, '');
  outgoing.writeHead(answer.statusCode ?? 502, { ...answer.headers, 'content-length': Buffer.byteLength(text) });
  outgoing.end(text);
}

function slowly(bytesPerSecond: number): Transform {
  const piece = Math.max(1, Math.ceil(bytesPerSecond / 10));
  return new Transform({
    transform(chunk: Buffer, _encoding, done) {
      void (async () => {
        for (let at = 0; at < chunk.length; at += piece) {
          await sleep(100);
          this.push(chunk.subarray(at, at + piece));
        }
        done();
      })();
    },
  });
}

function flippingFirstBit(): Transform {
  let first = true;
  return new Transform({
    transform(chunk: Buffer, _encoding, done) {
      const changed = Buffer.from(chunk);
      if (first && changed.length > 0) changed[0] = (changed[0] ?? 0) ^ 1;
      first = false;
      done(null, changed);
    },
  });
}
