import { expect, test } from 'vitest';
import { countingRequests } from '../../../infra/artifacts/requestCount.ts';
import { inEachStore } from './storeKinds.ts';

inEachStore('requests are counted', (kind) => {
  test('each put, read, look and listing is one, whoever else asks the store meanwhile', async () => {
    const store = await kind.fresh();
    const counters = [{ storeRequests: 0 }, { storeRequests: 0 }] as const;
    const many = countingRequests(counters[0], async () => {
      const ref = await store.putBytes('some', 'data');
      await Promise.all([store.getBytes(ref), store.has(ref)]);
      await store.putDocument('runs/one/run.json', { one: 1 }, 'ifAbsent');
      await store.getDocument('runs/one/run.json');
      for await (const _ of store.listDocuments('runs/')) continue;
      await store.deleteDocument('runs/one/run.json');
    });
    const one = countingRequests(counters[1], () => store.putBytes('other', 'data'));
    await Promise.all([many, one]);
    await store.putBytes('third', 'data');
    expect(counters).toEqual([{ storeRequests: 7 }, { storeRequests: 1 }]);
  });
});
