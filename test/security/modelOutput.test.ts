/**
 * What a model, a dataset or a model's file wrote is untrusted wherever it is shown: terminal, report, card of the Temporal UI, logs, file names. Each
 * place is given the same hostile text.
 */
import { createHash } from 'node:crypto';
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { Writable } from 'node:stream';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { configurationSchema } from '../../alignment/configuration/schema.ts';
import { compareEvaluations } from '../../alignment/evaluation/comparison.ts';
import { evaluationFigures } from '../../alignment/evaluation/figures.ts';
import { estimateRun } from '../../alignment/plan/estimateRun.ts';
import { renderReport } from '../../alignment/report/renderReport.ts';
import { adapterFolderCard } from '../../alignment/report/modelCard.ts';
import { releaseSection } from '../../alignment/report/releaseCard.ts';
import type { ReportData } from '../../alignment/report/reportData.ts';
import { renderError } from '../../cli/errors.ts';
import { main } from '../../cli/main.ts';
import type { CadaOperations } from '../../cli/operations.ts';
import { deliver } from '../../cli/operate/delivery.ts';
import { createPlainLines } from '../../cli/progress/plainLines.ts';
import { openStore } from '../../infra/artifacts/artifactStore.ts';
import { saveRun } from '../../infra/artifacts/runs.ts';
import { humanLine } from '../../infra/logging/humanLine.ts';
import { openLog } from '../../infra/logging/log.ts';
import { renderCard } from '../../workflows/card.ts';
import { startMemory } from '../../workflows/runMemory.ts';
import { makeScored } from '../alignment/makeChain.ts';

/** Clears the screen, retitles the window, hides text, turns it round, goes back over a line. */
const terminal = 'start\u001b[2J\u001b]0;owned\u0007\u009b31m\u202eabc\u200b\rover\u0000 end';
const html = `</pre><script>alert(1)</script><img src=x onerror="alert(2)">'"&lt;<%= it.style %>`;
const markdown = '![x](http://evil.example/pixel) [click](javascript:alert(1)) `code` <b>bold</b> | cell |\n# Heading';
// eslint-disable-next-line no-control-regex
const unsafe = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u200b\u202a-\u202e]/;

const reference = { uri: '', sha256: 'ab'.repeat(32), bytes: 1, kind: 'configuration' };
const record = {
  ...{ runId: 'demo', state: 'waiting', stage: terminal, cause: terminal, iteration: 1, iterations: 1 },
  ...{ configuration: reference, library: reference, policy: { model: reference, adapter: reference } },
  ...{ evaluations: {}, wallSeconds: { [terminal]: 3 }, peakMemoryBytes: {} },
};

/** The command with operations that answer with hostile texts. */
async function shownBy(args: string[]): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'cada-output-'));
  try {
    await saveRun(await openStore(folder), 'demo', record);
    let shown = '';
    const stream = new Writable({
      write(chunk: Buffer, _encoding, done) {
        shown += chunk.toString();
        done();
      },
    }) as unknown as NodeJS.WriteStream;
    const answers = [{ label: 'base', text: terminal, analysis: '', finalResponse: terminal, seconds: 1 }];
    const chain = {
      ...{
        id: terminal,
        requestId: terminal,
        kind: terminal,
        category: terminal,
        sample: 0,
        request: terminal,
        chain: terminal,
      },
      ...{ finish: terminal, reward: 1, rewardParts: { [terminal]: 1 } },
    };
    const operations = {
      ask: ({ report }) => (report(terminal), Promise.resolve(answers)),
      tryRequest: ({ report }) => (report(terminal), Promise.resolve(answers)),
      chains: () => Promise.resolve([chain]),
      control: () => Promise.reject(new Error(terminal)),
      progress: () =>
        Promise.resolve({
          ...{ runId: 'demo', state: 'running', stage: terminal, iteration: 1, iterations: 1, notes: [terminal] },
          ...{ shardsDone: 0, shardsTotal: 0, finishedStages: [] },
        }),
    } satisfies Partial<CadaOperations>;
    await main(args, {
      ...{ stdout: stream, stderr: stream, signal: new AbortController().signal },
      env: { CADA_HOME: folder, CADA_STORE: folder },
      operations: () => Promise.resolve(operations as unknown as CadaOperations),
    });
    return shown;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

describe('a terminal', () => {
  test.each([
    ['chains', '--iteration', '1'],
    ['chains', '--iteration', '1', '--json'],
    ['ask', 'demo', 'Hello?'],
    ['ask', 'demo', 'Hello?', '--json'],
    ['try', 'Hello?'],
    ['status'],
    ['status', '--json'],
    ['runs'],
    ['runs', '--json'],
    ['pause'],
  ])('cada %s %s', async (...args) => {
    const shown = await shownBy(args);
    expect(shown).toContain('start');
    expect(shown).not.toMatch(unsafe);
    // JSON keeps the text as it was, for who parses it.
    const document = /^[[{]\n[^]*/m.exec(shown)?.[0] ?? '';
    if (args.includes('--json'))
      expect(JSON.stringify(JSON.parse(document))).toContain(JSON.stringify(terminal).slice(1, 20));
  });

  test('progress in plain lines, and errors', () => {
    const snapshot = {
      ...{ runId: 'demo', state: 'waiting' as const, stage: terminal, cause: terminal, iteration: 1, iterations: 1 },
      ...{ shardsDone: 0, shardsTotal: 2, notes: [terminal], finishedStages: [] },
    };
    expect(createPlainLines()(snapshot, 0).join('\n')).not.toMatch(unsafe);
    expect(renderError(new Error(terminal), true).text).not.toMatch(unsafe);
  });
});

test('logs for people, and as JSON lines', async () => {
  expect(
    humanLine(JSON.stringify({ level: 'info', msg: terminal, text: terminal, error: { stack: terminal } })),
  ).not.toMatch(
    // eslint-disable-next-line no-control-regex
    /\u001b\](?!\[)|\u0007|\u009b|\u202e|\r|\u0000/,
  );
  const folder = await mkdtemp(join(tmpdir(), 'cada-log-'));
  const file = join(folder, 'log');
  openLog({ name: 'x', file, console: 'none' }).info({ text: terminal }, terminal);
  const { readFile } = await import('node:fs/promises');
  // eslint-disable-next-line no-control-regex
  expect((await readFile(file, 'utf8')).trimEnd()).not.toMatch(/[\u0000-\u001f]/);
  await rm(folder, { recursive: true });
});

test('the report: nothing of a text becomes markup, whatever it is the text of', () => {
  const scored = makeScored('r1', { kind: 'harmful' });
  const answers = [{ requestId: 'r1', category: html, request: html, text: html, scored }];
  const evaluations = ['before', 'after'].map((name) => ({
    ...{ name, figures: evaluationFigures([scored]), answers, sha256: 'ab' },
  }));
  const configuration = configurationSchema.parse({ name: 'a', chain: { analysisHeading: html } });
  const data: ReportData = {
    ...{ runId: html, state: html, configuration, configurationSha256: html, librarySha256: html, adapterSha256: html },
    model: { name: html, baseModelName: html, origin: html, digest: html, notes: [html] },
    headlines: [{ id: 'format', text: html, target: html, value: 1, interval: null, met: true }],
    evaluations,
    training: {
      set: html,
      chains: [
        {
          ...{ name: html, text: html, scored },
          request: { id: 'r1', category: html, label: 'harmful', kind: 'harmful', request: html },
        },
      ],
    },
    fromBefore: compareEvaluations([scored], [scored], { bootstrapSamples: 10, seed: 's' }),
    iterations: [
      {
        ...{ iteration: 1, epoch: 0, figures: { reward: 1, [html]: 2 }, seconds: {}, adapterSha256: html },
        ...{ parentSha256: html, artifacts: [{ name: html, sha256: html, uri: html }] },
      },
    ],
    ...{ wallSeconds: { [html]: 1 }, peakMemoryBytes: { [html]: 1 }, planned: estimateRun(configuration) },
    release: {
      status: html,
      verdict: {
        met: false,
        criteria: [{ figure: html, over: null, asked: html, value: 1, interval: null, n: 1, met: false }],
      },
      decision: { outcome: html, by: html, why: html, despite: html, at: html },
    },
    used: { generatedTokens: 1, trainedTokens: null, storeBytes: 1 },
    ...{ exported: [{ path: html, sha256: html, bytes: 1 }], versions: { [html]: html } },
  };
  const page = renderReport(data);
  expect(page).toContain('&lt;script&gt;alert(1)');
  expect(page).not.toMatch(/<img|onerror="/);
  // The one script is ours, and the policy names its digest: no other runs.
  const scripts = [...page.matchAll(/<script>(.*?)<\/script>/gs)].map(([, text]) => text!);
  expect(page.match(/<script/g)).toHaveLength(1);
  const digest = createHash('sha256').update(scripts[0]!).digest('base64');
  expect(page).toContain(`content="default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-${digest}'"`);
  expect(page).toContain(`data-chain="&lt;/pre&gt;`);
  expect(page.match(/<\/pre>/g)!.length).toBe(page.match(/<pre>/g)!.length);
});

test("the card of the Temporal UI: a failure's text makes no markup, no picture that would be fetched, no line of its own", () => {
  const run = { runId: 'demo', configuration: reference, library: reference };
  const plan = {
    warmStart: true,
    evaluateAfterWarmStart: false,
    iterations: 1,
    klReference: 'none' as const,
    probe: false,
  };
  const memory = startMemory(run, plan);
  memory.progress.cause = `${markdown}${terminal}`;
  const card = renderCard({ run, plan, memory } as unknown as Parameters<typeof renderCard>[0]);
  expect(card).not.toMatch(/(?<!\\)(!\[|\]\(|<b>)|^# Heading/m);
  expect(card).not.toMatch(unsafe);
  expect(card).toContain('evil.example');
  memory.progress.state = 'awaiting approval';
  expect(renderCard({ run, plan, memory } as unknown as Parameters<typeof renderCard>[0])).not.toMatch(
    /(?<!\\)(!\[|\]\(|<b>)/,
  );
});

test("the model card: a file's name and what was told of it make no markup, and end no quotes", () => {
  const name = `a"b: #c\n---\n${markdown}`;
  const model = { name, baseModelName: name, origin: 'gguf', digest: 'd', notes: [`${markdown}${terminal}`, html] };
  const configuration = configurationSchema.parse({ name: 'demo' });
  const card = adapterFolderCard({ runId: 'demo', model, configuration, adapterSha256: 'a' });
  const [, front, body] = /^---\n([^]*?)\n---\n([^]*)$/.exec(card)!;
  expect(parse(front!)).toMatchObject({ base_model: name, library_name: 'peft' });
  const [python] = /^base = .*$/m.exec(body!)!;
  expect(python).toBe(`base = AutoModelForCausalLM.from_pretrained(${JSON.stringify(name)})`);
  const text = body!.replace(python, '');
  expect(text).not.toMatch(/(?<!\\)(!\[|\]\(|<b>|<script)|^# Heading/m);
  expect(text).not.toMatch(unsafe);
  expect(text.match(/^\* /gm)).toHaveLength(7);
});

test('the model card: what a person wrote who decided makes no markup', () => {
  const decision = { outcome: 'approved', by: markdown, why: `${markdown}${terminal}`, despite: html, at: 'now' };
  const criterion = { figure: markdown, over: null, asked: html, value: 1, n: 1, met: true };
  const section = releaseSection(
    { status: 'promoted', decision },
    { met: true, criteria: [{ ...criterion, interval: [0, 1] }] },
  );
  expect(section).not.toMatch(/(?<!\\)!\[|(?<!\\)<b>|(?<!\\)<script|^# Heading/m);
  expect(section).not.toMatch(unsafe);
  expect(section).toContain('evil.example');
});

test('names of exported files that climb out of the folder, or hide, are not written', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'cada-names-'));
  try {
    const store = await openStore(join(folder, 'store'));
    const artifact = await store.putBytes('bytes', 'export');
    const names = [
      '../out',
      'merged/../../out',
      '/etc/out',
      'merged/a/b',
      'merged/\u001b[2J',
      'other/file',
      'merged/ok.json',
      'adapter/..',
    ];
    const files = names.map((path) => ({ path, artifact }));
    const exported = await store.putBytes(JSON.stringify({ files }), 'export');
    await saveRun(store, 'demo', { ...record, exported });
    await writeFile(join(folder, 'before'), '');
    await deliver({ runId: 'demo', storeUri: store.uri, home: join(folder, 'home') });
    const written = (await readdir(join(folder, 'home'), { recursive: true, withFileTypes: true })).filter((one) =>
      one.isFile(),
    );
    expect(written.map(({ name }) => name)).toEqual(['ok.json']);
    expect((await readdir(folder)).sort()).toEqual(['before', 'home', 'store']);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
});
