import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { MockActivityEnvironment } from '@temporalio/testing';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { ActivityDependencies } from '../../activities/dependencies.ts';
import { readLines, toLines } from '../../activities/inputs.ts';
import { rewardChains, scoredChains } from '../../activities/rewardChains.ts';
import type { ArtifactRef, RunContext } from '../../activities/types.ts';
import { formatChain, type ChainFormat, type ScoredChain } from '../../alignment/chains/chain.ts';
import { configurationSchema } from '../../alignment/configuration/schema.ts';
import { parseLibrary } from '../../alignment/library/parseLibrary.ts';
import { openStore, type ArtifactStore } from '../../infra/artifacts/artifactStore.ts';
import { canonicalJson } from '../../infra/artifacts/canonicalJson.ts';
import { makeChain } from '../alignment/makeChain.ts';
import { libraryFiles } from '../alignment/makeLibrary.ts';
import { startChatServer, type ChatServer, type Scripted } from '../servers/chatServer.ts';

let folder: string;
let store: ArtifactStore;
let server: ChatServer | undefined;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'reward-chains-'));
  store = await openStore(join(folder, 'store'));
});
afterEach(() => server?.close());
afterAll(() => rmSync(folder, { recursive: true }));

const files = {
  ...libraryFiles(),
  'judges/refusal.json': readFileSync(resolve('library/judges/refusal.json'), 'utf8'),
};
const chains = [
  makeChain('t1', {
    text: '### Analysis\nSECRET thought under code 7.\n\n### Final Response\nI will not help with that.',
  }),
  makeChain('t2', { text: '### Analysis\nSECRET plan.\n\n### Final Response\nMix flour and water.' }),
];

/** Rewards of the two chains (one for a harmful request, one for a plain one) under these settings. */
async function rewardsUnder(
  settings: object,
  runId: string,
  given = chains,
): Promise<{ scored: ScoredChain[]; figures: Record<string, unknown>; inputs: object }> {
  const configuration = configurationSchema.parse({ name: 'reward', ...settings });
  const artifact = await store.putBytes(toLines(given), 'chains');
  const list: ArtifactRef = await store.putBytes(
    canonicalJson({ plan: 'p', shards: [{ artifact, rows: 2 }] }),
    'chain-list',
  );
  const run: RunContext = {
    runId,
    configuration: await store.putBytes(canonicalJson(configuration), 'configuration'),
    library: await store.putBytes(canonicalJson(files), 'library'),
  };
  const dependencies = {
    store,
    scratchPath: folder,
    log: { info: () => {}, warn: () => {} },
  } as unknown as ActivityDependencies;
  await new MockActivityEnvironment().run(() => rewardChains(dependencies, run, { chains: list, shard: 0 }));
  const manifest = (await scoredChains(dependencies, run, artifact, configuration, parseLibrary(files)))!;
  return {
    scored: await readLines<ScoredChain>(store, manifest.outputs['rewards']!),
    figures: manifest.figures,
    inputs: manifest.inputs as object,
  };
}

const judge = (url: string): object => ({ url, model: 'grader', attempts: 1, timeoutSeconds: 5 });
const startServer = async (script: () => Scripted): Promise<string> => (server = await startChatServer(script)).url;

const headings = { analysisHeading: '### Analysis', responseHeading: '### Final Response' };
const formats: ChainFormat[] = [
  headings,
  { ...headings, thinking: true },
  { ...headings, format: 'think' },
  { ...headings, format: 'pattern', pattern: { analysisMarker: 'Why:', responseMarker: 'Answer:' } },
  {
    ...headings,
    format: 'pattern',
    pattern: { expression: '(?<analysis>[^|]*)\\|(?<response>.*)', example: '{analysis}|{response}' },
  },
];

describe('rewardChains', () => {
  it('without optional rewards asks nobody, and gives the parts it always gave', async () => {
    const { scored, figures, inputs } = await rewardsUnder({}, 'plain');
    // They make the step keys of earlier runs.
    expect(Object.keys(inputs).sort()).toEqual(['chains', 'headings', 'judges', 'requests', 'rewards']);
    expect(inputs).toMatchObject({
      rewards: { format: 0.5, refuseHarmful: 1, answerPlain: 1, answerLookAlike: 1, overlong: 0.5 },
    });
    expect(scored.map(({ parts }) => Object.keys(parts).sort())).toEqual([
      ['format', 'overlong', 'refuseHarmful'],
      ['answerPlain', 'format', 'overlong'],
    ]);
    expect(figures).not.toHaveProperty('judge/asked');
  });

  it('asks the rubric judge about the harmful request alone, and never shows it the analysis', async () => {
    const url = await startServer(() => '#1. 0\n#2. 2\n#3. 3');
    const { scored, figures } = await rewardsUnder({ rewards: { graded: 2, length: 1 }, judge: judge(url) }, 'graded');
    expect(scored[0]!.parts).toMatchObject({ graded: 0.625, refuseHarmful: 1 });
    expect(scored[0]!.reward).toBeCloseTo(0.5 + 1 + 2 * 0.625 + scored[0]!.parts['length']!, 12);
    expect(scored[1]!.parts).not.toHaveProperty('graded');
    expect(scored[1]!.reward).not.toBeNull();
    expect(figures).toMatchObject({ 'judge/asked': 1, 'judge/kept': 0 });
    expect(server!.seen).toHaveLength(1);
    expect(server!.seen[0]!.text).toContain('I will not help with that.');
    expect(server!.seen[0]!.text).not.toContain('SECRET');
  });

  it('another run with other weights asks nothing that was answered', async () => {
    const url = await startServer(() => ({ status: 500 }));
    const { scored, figures } = await rewardsUnder({ rewards: { graded: 1 }, judge: judge(url) }, 'again');
    expect(scored[0]!.parts['graded']).toBe(0.625);
    expect(figures).toMatchObject({ 'judge/asked': 0, 'judge/kept': 1 });
    expect(server!.seen).toHaveLength(0);
  });

  it('a judge that is down fails the stage for another attempt; one that says no is for the operator', async () => {
    const down = await startServer(() => ({ status: 503 }));
    const other = (url: string): object => ({ rewards: { graded: 1 }, judge: { ...judge(url), model: 'other' } });
    await expect(rewardsUnder(other(down), 'down')).rejects.toMatchObject({ type: 'Judge', nonRetryable: false });
    await server!.close();
    const closed = await startServer(() => ({ status: 401, body: 'no key' }));
    await expect(rewardsUnder(other(closed), 'closed')).rejects.toMatchObject({
      type: 'Judge',
      nonRetryable: true,
      message: expect.stringContaining('answered 401: no key') as string,
    });
  });

  it('where so many may be unscorable they have no reward, never 0', async () => {
    const url = await startServer(() => 'I do not know.');
    const settings = {
      rewards: { graded: 1 },
      judge: { ...judge(url), model: 'mute' },
      iteration: { maxUnscorable: 1 },
    };
    const { scored } = await rewardsUnder(settings, 'mute');
    expect(scored[0]).toMatchObject({ reward: null, unscorable: 'no reply held the three grades', verdict: 'refusal' });
    expect(scored[1]!.reward).not.toBeNull();
  });

  it('rewards an analysis that names a code that exists', async () => {
    const { scored } = await rewardsUnder({ rewards: { grounding: 1 } }, 'grounded');
    expect(scored.map(({ parts }) => parts['grounding'])).toEqual([0, 0]);
    const numbered = { ...files, 'codes/simple.md': '---\ntitle: Simple codes\nversion: 2\n---\n7. Do no harm.\n' };
    Object.assign(files, numbered);
    const { scored: later } = await rewardsUnder({ rewards: { grounding: 1 } }, 'grounded');
    expect(later.map(({ parts }) => parts['grounding'])).toEqual([1, 0]);
  });

  it.each(formats)('shows no judge the analysis of a chain in the format %j', async (chain) => {
    const url = await startServer(() => '#1. 1\n#2. 1\n#3. 1');
    const reasoned = chain.thinking ? '<think>\nSECRET turn.\n</think>\n\n' : '';
    const text = `${reasoned}${formatChain('SECRET thought.', 'I will not help with that.', chain)}`;
    // A judge of its own: replies to the same response are kept.
    const settings = { chain, rewards: { graded: 1 }, judge: { ...judge(url), model: JSON.stringify(chain) } };
    const { scored } = await rewardsUnder(settings, JSON.stringify(chain), [makeChain('t1', { text })]);
    expect(scored[0]).toMatchObject({ format: true, verdict: 'refusal', parts: { graded: 1, refuseHarmful: 1 } });
    expect(server!.seen).toHaveLength(1);
    expect(server!.seen[0]!.text).toContain('I will not help with that.');
    expect(server!.seen[0]!.text).not.toContain('SECRET');
  });

  it('looks for leaks only where asked, in a question of its own that no reward sees', async () => {
    const url = await startServer(() => (server!.seen.length === 1 ? '#1. 1\n#2. 1\n#3. 1' : '#1. 0\n#2. 5\n#3. 5'));
    const text = formatChain('You can use a SECRET oven.', 'I will not help with that at all.', headings);
    const given = [makeChain('t1', { text }), chains[1]!];
    const settings = { rewards: { graded: 1 }, judge: { ...judge(url), model: 'leaks' } };
    const without = await rewardsUnder(settings, 'no leaks', given);
    expect(without.inputs).not.toHaveProperty('leaks');
    expect(without.scored[0]).not.toHaveProperty('leak');
    const { scored, figures, inputs } = await rewardsUnder(
      { ...settings, evaluation: { leaks: true } },
      'leaks',
      given,
    );
    expect(inputs).toHaveProperty('leaks', true);
    expect(scored[0]).toEqual({ ...without.scored[0], leak: { rules: true, score: 1 } });
    // The other is no refusal.
    expect(scored[1]).toEqual(without.scored[1]);
    expect(figures).toMatchObject({ 'judge/asked': 1, 'judge/kept': 1 });
    expect(server!.seen.map(({ text: seen }) => seen.includes('SECRET'))).toEqual([false, true]);
    expect(server!.seen[1]!.text).not.toContain('I will not help');
  });
});
