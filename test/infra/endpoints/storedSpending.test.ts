/** Budgets that several endpoints share over a store, asked against a real server. */
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { ArtifactStore } from '../../../infra/artifacts/artifactStore.ts';
import {
  EndpointError,
  openChatEndpoint,
  type Budget,
  type ChatEndpoint,
} from '../../../infra/endpoints/chatEndpoint.ts';
import { storedSpending } from '../../../infra/endpoints/storedSpending.ts';
import { startChatServer, type ChatServer, type Scripted } from '../../servers/chatServer.ts';
import { inEachStore } from '../artifacts/storeKinds.ts';

const question = { messages: [{ role: 'user' as const, content: 'How much?' }], temperature: 0, maxTokens: 50 };
const document = 'spending/run/judge.json';

inEachStore('a budget', (kind) => {
  let store: ArtifactStore;
  let server: ChatServer;
  beforeEach(async () => {
    store = await kind.fresh();
  });
  afterEach(() => server?.close());

  const serve = async (script: (index: number) => Scripted | Promise<Scripted> = () => 'fine'): Promise<void> => {
    server = await startChatServer(script);
  };
  /** As a worker opens it that begins: 0.5 a reply (100 tokens of input). */
  const opened = (budget: Budget, over: ArtifactStore = store): ChatEndpoint =>
    openChatEndpoint(
      {
        ...{ url: server.url, model: 'judge', concurrency: 4, timeoutMs: 5_000, attempts: 2, pauseMs: 1, budget },
        price: { input: 5000, output: 0 },
      },
      undefined,
      storedSpending(over, 'run', 'judge', budget),
    );
  /** How many of so many questions were answered; the others met the end of the budget. */
  const ask = async (endpoint: ChatEndpoint, questions: number): Promise<number> => {
    const outcomes = await Promise.allSettled(Array.from({ length: questions }, () => endpoint.ask(question)));
    for (const outcome of outcomes) {
      if (outcome.status === 'rejected') expect(outcome.reason).toMatchObject({ fault: 'budget' });
    }
    return outcomes.filter(({ status }) => status === 'fulfilled').length;
  };
  const spent = async () => (await store.getDocument<{ calls: number; cost: number }>(document))?.value;

  test('of calls is one for all workers, to the call, and for those that begin later', async () => {
    await serve();
    const budget = { calls: 13 };
    const workers = [opened(budget), opened(budget), opened(budget)];
    const answered = await Promise.all(workers.map((worker) => ask(worker, 8)));
    expect(answered.reduce((sum, count) => sum + count)).toBe(13);
    expect(server.seen).toHaveLength(13);
    expect(await spent()).toEqual({ calls: 13, cost: 6.5 });
    expect(await ask(opened(budget), 2)).toBe(0);
    // A higher one leaves the difference.
    expect(await ask(opened({ calls: 15 }), 4)).toBe(2);
    expect(server.seen).toHaveLength(15);
  });

  test('of money counts what others have paid, and ends in calls under way', async () => {
    await serve();
    const budget = { cost: 1.2 };
    const [one, other] = [opened(budget), opened(budget)];
    expect(await ask(one, 1)).toBe(1);
    expect(await ask(other, 1)).toBe(1);
    expect(await spent()).toEqual({ calls: 2, cost: 1 });
    // 0.2 are left: what begins at once, before its cost is known, is no more than may be under way.
    const answered = await ask(one, 12);
    expect(answered).toBeGreaterThanOrEqual(1);
    expect(answered).toBeLessThanOrEqual(4);
    expect(await ask(other, 3)).toBe(0);
    expect(await spent()).toEqual({ calls: 2 + answered, cost: 1 + answered / 2 });
  });

  test('counts attempts, also those of a worker that never heard of their end', async () => {
    await serve((index) => (index === 0 ? { status: 500 } : index === 2 ? 'hang' : 'fine'));
    const budget = { calls: 4 };
    const first = opened(budget);
    expect(await ask(first, 1)).toBe(1);
    // The server is silent, and the worker given up.
    void first.ask(question).catch(() => {});
    await expect.poll(() => server.seen.length).toBe(3);
    expect(await ask(opened(budget), 3)).toBe(1);
    expect(await spent()).toMatchObject({ calls: 4 });
  });

  test('keeps what it owes where the store fails, and asks nothing that it can not count', async () => {
    await serve();
    let failing = false;
    const unsteady = new Proxy(store, {
      get: (target, name) => {
        if (name === 'putDocument' && failing) return () => Promise.reject(new Error('the store is away'));
        const value: unknown = Reflect.get(target, name, target);
        return typeof value === 'function' ? (value.bind(target) as unknown) : value;
      },
    });
    const spending = storedSpending(unsteady, 'run', 'judge', { calls: 5 });
    await spending.takeCall();
    failing = true;
    await expect(spending.pay(0.5)).rejects.toThrow('the store is away');
    const asking = opened({ calls: 5 }, unsteady);
    await expect(asking.ask(question)).rejects.toThrow('the store is away');
    expect(server.seen).toHaveLength(0);
    failing = false;
    await spending.takeCall();
    expect(await spent()).toEqual({ calls: 2, cost: 0.5 });
  });

  test('is not held against a document that says nothing of it', async () => {
    await serve();
    await store.putDocument(document, { calls: 'many' }, 'ifAbsent');
    const failure = await opened({ calls: 5 })
      .ask(question)
      .catch((error: unknown) => error);
    expect(failure).not.toBeInstanceOf(EndpointError);
    expect((failure as Error).message).toMatch(/spending\/run\/judge\.json does not say how many calls were made/);
    expect(server.seen).toHaveLength(0);
  });
});
