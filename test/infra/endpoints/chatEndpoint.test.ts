import { inspect } from 'node:util';
import { afterEach, describe, expect, test } from 'vitest';
import { openChatEndpoint, type ChatEndpointSettings } from '../../../infra/endpoints/chatEndpoint.ts';
import { startChatServer, type ChatServer, type Scripted } from '../../servers/chatServer.ts';

let server: ChatServer | undefined;
afterEach(() => server?.close());

const question = { messages: [{ role: 'user' as const, content: 'How much?' }], temperature: 0, maxTokens: 50 };

async function endpointTo(
  script: (index: number) => Scripted | Promise<Scripted>,
  settings: Partial<ChatEndpointSettings> = {},
  random?: () => number,
) {
  server = await startChatServer(script);
  return openChatEndpoint(
    { url: server.url, model: 'judge', concurrency: 4, timeoutMs: 5_000, attempts: 3, pauseMs: 1, ...settings },
    random,
  );
}

describe('openChatEndpoint', () => {
  test('sends model, messages and key, and adds up tokens and cost', async () => {
    const endpoint = await endpointTo(() => 'seven', { apiKey: 'secret', price: { input: 3, output: 10 } });
    const schema = { type: 'object' };
    const reply = await endpoint.ask({ ...question, schema });
    expect(reply).toMatchObject({ text: 'seven', inputTokens: 100, outputTokens: 10 });
    expect(reply.cost).toBeCloseTo(0.0004, 12);
    expect(reply.latencyMs).toBeGreaterThan(0);
    expect(server!.seen[0]!.authorization).toBe('Bearer secret');
    expect(server!.seen[0]!.body).toMatchObject({
      model: 'judge',
      messages: question.messages,
      max_tokens: 50,
      response_format: { type: 'json_schema', json_schema: { schema } },
    });
    await endpoint.ask(question);
    expect(server!.seen[1]!.body.response_format).toBeUndefined();
    expect(endpoint.spent).toMatchObject({ calls: 2, inputTokens: 200, outputTokens: 20 });
  });

  test('sends a seed where one is given, and tells a reply that its limit has cut', async () => {
    const endpoint = await endpointTo((index) => (index === 0 ? 'whole' : { cut: 'half a' }));
    expect(await endpoint.ask({ ...question, seed: 7 })).not.toHaveProperty('cut');
    expect(await endpoint.ask(question)).toMatchObject({ text: 'half a', cut: true });
    expect(server!.seen.map(({ body }) => body.seed)).toEqual([7, undefined]);
  });

  test('tries again after 500, 429 and a reply that is no completion', async () => {
    const scripted: Scripted[] = [{ status: 500, body: 'oh' }, { status: 200, body: '<html>' }, 'fine'];
    const endpoint = await endpointTo((index) => scripted[index]!);
    expect((await endpoint.ask(question)).text).toBe('fine');
    expect(endpoint.spent.calls).toBe(3);
  });

  test('comes back when it was told to, not by its own pause', async () => {
    const busy = { status: 429, headers: { 'retry-after': '0.02' } };
    // By its own pause it would wait for half a minute.
    const endpoint = await endpointTo(
      (index) => (index === 0 ? busy : 'fine'),
      { pauseMs: 30_000 },
      () => 1,
    );
    expect((await endpoint.ask(question)).text).toBe('fine');
  });

  test('pauses are drawn between nothing and a doubling limit', async () => {
    const drawn: number[] = [];
    const endpoint = await endpointTo(
      () => ({ status: 503 }),
      { attempts: 4 },
      () => (drawn.push(0), 0),
    );
    await expect(endpoint.ask(question)).rejects.toMatchObject({ fault: 'unavailable' });
    expect(drawn).toHaveLength(3);
  });

  test('gives up after its attempts, saying what was answered', async () => {
    const endpoint = await endpointTo(() => ({ status: 502, body: 'bad\ngateway' }), { attempts: 2 });
    await expect(endpoint.ask(question)).rejects.toThrow(/chat\/completions answered 502: bad gateway$/);
    expect(server!.seen).toHaveLength(2);
  });

  test.each([401, 404, 400])('does not try again after %d', async (status) => {
    const endpoint = await endpointTo(() => ({ status }));
    await expect(endpoint.ask(question)).rejects.toMatchObject({ fault: 'refused' });
    expect(server!.seen).toHaveLength(1);
  });

  test('a silent server costs no more than the time limit of its attempts', async () => {
    const endpoint = await endpointTo(() => 'hang', { timeoutMs: 300, attempts: 2 });
    await expect(endpoint.ask(question)).rejects.toThrow('no reply within 0.3 s');
    expect(server!.seen).toHaveLength(2);
  });

  test('a reply without content, each time, is malformed', async () => {
    const endpoint = await endpointTo(() => ({ status: 200, body: '{"choices":[]}' }), { attempts: 2 });
    await expect(endpoint.ask(question)).rejects.toMatchObject({ fault: 'malformed' });
  });

  test('where nothing listens it says so', async () => {
    const endpoint = openChatEndpoint({
      url: 'http://127.0.0.1:9/v1',
      model: 'm',
      concurrency: 1,
      timeoutMs: 1_000,
      attempts: 1,
    });
    await expect(endpoint.ask(question)).rejects.toMatchObject({ fault: 'unavailable' });
  });

  describe('a key that is said again', () => {
    const apiKey = 'key-of/the+judge="1"';
    const completion = (content: string, usage = {}) => ({
      ...{ status: 200 },
      body: JSON.stringify({ choices: [{ message: { content } }], usage }),
    });

    test.each([
      ['as it is', `Bearer ${apiKey} is wrong`, 'Bearer [redacted] is wrong'],
      ['in JSON', JSON.stringify({ error: apiKey }), '{"error":"[redacted]"}'],
      ['in JSON, with codes and escaped slashes', 'key\\u002Dof\\/the\\u002bjudge=\\"1\\"', '[redacted]'],
      ['in an address', `http://h/?key=${encodeURIComponent(apiKey)}`, 'http://h/?key=[redacted]'],
      ['where the message is cut', `${'x'.repeat(190)}${apiKey}`, `${'x'.repeat(190)}[redacted]`],
    ])('%s is in no error', async (_, body, said) => {
      const endpoint = await endpointTo(() => ({ status: 401, body }), { apiKey });
      const error = await endpoint.ask(question).catch((reason: unknown) => reason as Error);
      expect(error).toHaveProperty('message', `${server!.url}/chat/completions answered 401: ${said}`);
    });

    test('is in no reply, however the JSON writes it; where a count is expected stands a number', async () => {
      const { status, body } = completion(`I got ${apiKey} and EMPTY.`, {
        prompt_tokens: apiKey,
        completion_tokens: 3,
      });
      const endpoint = await endpointTo(() => ({ status, body: body.replaceAll('-', '\\u002d') }), { apiKey });
      expect(await endpoint.ask(question)).toMatchObject({
        ...{ text: 'I got [redacted] and EMPTY.', inputTokens: 0, outputTokens: 3 },
      });
    });

    test('of fewer than eight characters leaves replies as they are', async () => {
      const endpoint = await endpointTo(() => completion('EMPTY, it said'), { apiKey: 'EMPTY' });
      expect((await endpoint.ask(question)).text).toBe('EMPTY, it said');
    });

    test('or that is no header, or comes in what is no JSON, is not in the error or its causes', async () => {
      for (const [key, reply] of [
        ['key-of\nthe-judge\n', 'never asked'],
        ['key-of-the-judge', { status: 200, body: 'key-of-the-judge' }],
      ] as const) {
        const endpoint = await endpointTo(() => reply, { apiKey: key, attempts: 1 });
        const error = await endpoint.ask(question).catch((reason: unknown) => reason);
        expect(error).toHaveProperty('name', 'EndpointError');
        expect(inspect(error)).not.toMatch(/key-of|the-judge/);
        await server!.close();
      }
    });
  });

  test('never has more requests open than it may', async () => {
    const endpoint = await endpointTo(() => new Promise((done) => setTimeout(() => done('x'), 20)), { concurrency: 2 });
    await Promise.all(Array.from({ length: 6 }, () => endpoint.ask(question)));
    expect(server!.mostOpen).toBe(2);
  });

  test('a budget ends in calls or money, attempts counted', async () => {
    const calls = await endpointTo((index) => (index === 0 ? { status: 500 } : 'fine'), { budget: { calls: 2 } });
    await calls.ask(question);
    await expect(calls.ask(question)).rejects.toMatchObject({
      fault: 'budget',
      message: 'the budget of 2 calls is spent',
    });
    expect(server!.seen).toHaveLength(2);
    await server!.close();
    const money = await endpointTo(() => 'fine', { budget: { cost: 0.5 }, price: { input: 5000, output: 0 } });
    await money.ask(question);
    await expect(money.ask(question)).rejects.toThrow('the budget of 0.5 is spent');
  });

  test('ends at once when it is asked to', async () => {
    const controller = new AbortController();
    const endpoint = await endpointTo(() => (controller.abort(), 'hang'));
    await expect(endpoint.ask({ ...question, signal: controller.signal })).rejects.toMatchObject({
      name: 'AbortError',
    });
    expect(server!.seen).toHaveLength(1);
  });
});
