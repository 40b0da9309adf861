/** Studies, units and options that `cada compare` refuses before any work. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { beforeAll, describe, expect, test } from 'vitest';
import { startTinyStudy, type TinyStudy } from './tinyStudy.ts';

describe('cada compare refuses', { timeout: 120_000 }, () => {
  let run: TinyStudy['run'];
  let compare: TinyStudy['compare'];
  const claim = { claim: 'c', figure: 'harmlessness', arm: 'cases-2', against: 'none', direction: 'higher' };

  beforeAll(async () => {
    ({ run, compare } = await startTinyStudy());
  });

  test.each([
    [{ arms: [{ name: 'none', inference: 'rules' }] }, 'no part of an arm'],
    [{ arms: [{ name: 'none', inference: 'codes,format:3' }] }, 'there are 1 to 2 examples of the format'],
    [{ arms: [{ name: 'none', inference: { codes: 'own', formatExamples: 3 } }] }, 'formatExamples'],
    [{ arms: [{ name: 'none' }] }, 'an arm needs'],
    [{ suites: ['xtest'] }, 'suites.0'],
    [
      {
        arms: [
          { name: 'a', inference: 'none' },
          { name: 'a', inference: 'none' },
        ],
      },
      '"a" stands twice',
    ],
    [{ arms: [{ name: 'a', configuration: { iteration: { cuont: 1 } } }] }, 'arm "a"'],
    [{ models: ['no/such/model.gguf'] }, 'there is nothing at'],
    [{ sweets: 1 }, 'there is no such setting'],
    [{ withhold: ['privicy'] }, '"privicy" is no hazard of the library'],
    [{ withhold: [] }, 'withhold'],
    [{ hypotheses: [{ ...claim, arm: 'cada' }] }, 'hypotheses.0.arm: no arm is named "cada"'],
    [{ hypotheses: [{ ...claim, figure: 'utility/gsm8k' }] }, 'hypotheses.0: this study has no figure "utility/gsm8k"'],
    [{ hypotheses: [{ ...claim, figure: 'robustness' }] }, 'robustness/prefix-injection, over-refusal'],
    [{ guard: { sauce: 'model' } }, 'guard'],
  ])('%j is wrong input', async (changes, said) => {
    const { code, stderr } = await compare(changes);
    expect(stderr).toContain(said);
    expect(code).toBe(2);
  });

  const unit = {
    ...{ unit: 'none', arm: 'none', model: 'model', seed: null, at: '2026-01-01T00:00:00.000Z', modelName: 'm' },
    ...{ modelDigest: '0'.repeat(64), adapterSha256: null, maxNewTokens: 12, rubricJudge: null },
    cost: { answers: 1, tokens: 1, seconds: 1 },
    outcomes: [
      { id: 'q', suite: 'xstest', kind: 'harmful', goal: 'g', attack: null, format: true, cut: false, tokens: 1 },
    ],
  };
  test.each([
    ['{', 'line 1: not JSON'],
    [JSON.stringify({ ...unit, studyId: 'tiny-study-00000000' }), 'a unit of study tiny-study-00000000'],
    [JSON.stringify({ ...unit, studyId: 'STUDY', unit: 'some' }), 'the study has no unit "some"'],
    [JSON.stringify({ ...unit, studyId: 'STUDY', seed: 1 }), 'is not of arm "none"'],
    [
      JSON.stringify({ ...unit, studyId: 'STUDY', outcomes: [{ ...unit.outcomes[0], correct: 2 }] }),
      'outcomes.0.correct',
    ],
    [JSON.stringify({ ...unit, studyId: 'STUDY', outcomes: [] }), 'outcomes'],
  ])('a file of units is wrong input: %#', async (line, said) => {
    const [, own] = /study (tiny-study-[0-9a-f]{8}):/.exec((await compare({}, '--interim')).stderr)!;
    const file = join(run.cwd, 'wrong.jsonl');
    writeFileSync(file, line.replace('STUDY', own!));
    const { code, stderr } = await compare({}, '--units', file);
    expect(stderr).toContain(said);
    expect(code).toBe(2);
  });

  test('a packed file of units that is cut off is wrong input', async () => {
    const file = join(run.cwd, 'wrong.jsonl.gz');
    writeFileSync(file, gzipSync('{}\n').subarray(0, 12));
    const { code, stderr } = await compare({}, '--units', file);
    expect(stderr).toContain(`The units of ${file} can not be read: unexpected end of file.`);
    expect(code).toBe(2);
  });

  test('--detach needs a server that outlives the command', async () => {
    expect(await compare({}, '--detach')).toMatchObject({ code: 2 });
  });
});
