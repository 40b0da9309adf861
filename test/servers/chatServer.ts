/** A local OpenAI-compatible server for tests: answers each request by a script, and keeps what it was sent. */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface ChatRequestSeen {
  body: {
    model: string;
    messages: { role: string; content: string }[];
    temperature: number;
    max_tokens: number;
    seed?: number;
    response_format?: unknown;
  };
  /** The body as it came. */
  text: string;
  authorization: string | undefined;
}

/** What to answer with: a reply's text (perhaps cut), a status with headers and body, or nothing at all (the request hangs). */
export type Scripted =
  string | { cut: string } | { status: number; headers?: Record<string, string>; body?: string } | 'hang';

export interface ChatServer {
  url: string;
  seen: ChatRequestSeen[];
  /** Most requests that were open at once. */
  mostOpen: number;
  close(): Promise<void>;
}

/** @param script called with the number of the request, from 0. */
export async function startChatServer(
  script: (index: number, seen: ChatRequestSeen) => Scripted | Promise<Scripted>,
): Promise<ChatServer> {
  const chat: ChatServer = { url: '', seen: [], mostOpen: 0, close: () => Promise.resolve() };
  let open = 0;
  const answer = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    open += 1;
    chat.mostOpen = Math.max(chat.mostOpen, open);
    response.once('close', () => (open -= 1));
    let text = '';
    for await (const chunk of request.setEncoding('utf8')) text += String(chunk);
    const seen: ChatRequestSeen = {
      body: JSON.parse(text) as ChatRequestSeen['body'],
      text,
      authorization: request.headers.authorization,
    };
    const scripted = await script(chat.seen.push(seen) - 1, seen);
    if (scripted === 'hang') return;
    if (typeof scripted === 'object' && 'status' in scripted) {
      response.writeHead(scripted.status, scripted.headers).end(scripted.body ?? '');
      return;
    }
    const [content, finish_reason] = typeof scripted === 'string' ? [scripted, 'stop'] : [scripted.cut, 'length'];
    const completion = {
      choices: [{ message: { role: 'assistant', content }, finish_reason }],
      usage: { prompt_tokens: 100, completion_tokens: 10 },
    };
    response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(completion));
  };
  const server = createServer((request, response) => {
    if (request.url !== '/v1/chat/completions') {
      response.writeHead(404).end();
      return;
    }
    answer(request, response).catch((error: unknown) => response.destroy(error as Error));
  });
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  chat.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1`;
  chat.close = () =>
    new Promise((done) => {
      server.close(() => done());
      server.closeAllConnections();
    });
  return chat;
}
