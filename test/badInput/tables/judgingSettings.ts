/** Malformed settings of judges, rewards and the release: values, paths, combinations. */
import type { BadInput } from '../badInput.ts';
import { lines } from './configurationFile.ts';

export const judgingSettings: BadInput[] = [
  lines(
    'two judges',
    'judge: { url: "http://127.0.0.1:1/v1", model: a }\nenvironmentJudge: { codes: simple }',
    'environmentJudge: ',
    'leave one of the two out',
  ),
  lines(
    'a guard model that is not there',
    'rewards: { guard: 1 }\nguardModel: { source: ./nowhere.gguf }',
    'run.yaml:3:',
    'guardModel.source: there is nothing at ',
    'hub id such as',
  ),
  lines(
    'a reward by a guard model that nobody names',
    'rewards: { guard: 1 }',
    'rewards.guard: needs a guard model: add the section `guardModel` with its source',
  ),
  lines(
    'a guard model that nobody asks',
    'guardModel: { source: Owner/guard }',
    'guardModel.source: is not asked: give rewards.guard a weight',
  ),
  lines(
    'a guard model asked by an instruction without the response',
    'rewards: { guard: 1 }\nguardModel: { source: Owner/guard, instruction: "Is {request} bad?" }',
    'guardModel.instruction: has no {response}',
  ),
  lines(
    'a guard model with one word for both answers',
    'rewards: { guard: 1 }\nguardModel: { source: Owner/guard, words: { safe: a, unsafe: a } }',
    'guardModel.words: both answers are the same word',
  ),
  lines(
    'an ensemble of a judge that is not there',
    'rewards: { ensemble: 1 }\nensemble: { judges: [rules, rubric] }',
    "ensemble.judges: 'rubric' needs a rubric judge: add the section `judge`",
  ),
  lines(
    'an ensemble that waits for more judges than it has',
    'rewards: { ensemble: 1 }\nensemble: { judges: [rules], least: 2 }',
    'ensemble.least: so many can never say: there are 1 judges',
  ),
  lines(
    'a function of the user that is not there',
    'rewards: { own: [{ name: a, file: gone.ts, weight: 1 }] }',
    'rewards.own[0].file: there is nothing at ',
    'a module of one file that exports a function',
  ),
  lines(
    'a function in another language',
    'rewards: { own: [{ name: a, file: a.py, weight: 1 }] }',
    'rewards.own[0].file: ',
    'a .js, .mjs, .ts or .mts file',
  ),
  lines(
    'two functions of one name',
    'rewards: { own: [{ name: a, file: a.js, weight: 1, code: "" }, { name: a, file: b.js, weight: 1, code: "" }] }',
    'rewards.own[1].name: "a" is the name of another one above',
  ),
  lines(
    'a release by a figure that no evaluation has',
    'release: { criteria: [{ figure: refusal/harmfull, atLeast: 0.8 }] }',
    'run.yaml:2:',
    'release.criteria[0].figure: there is no figure "refusal/harmfull" in the final evaluation of this configuration',
    'it has format, reward, refusal/harmful, refusal/plain, refusal/look-alike, utility/loss',
  ),
  lines(
    'a release by a benchmark that is not evaluated',
    'release: { criteria: [{ figure: xstest/refusal/look-alike, atMost: 0.2 }] }',
    'release.criteria[0].figure: there is no figure "xstest/refusal/look-alike"',
  ),
  lines(
    'a criterion without a limit',
    'release: { criteria: [{ figure: format }] }',
    'release.criteria[0].atMost: has no limit: give it atMost, atLeast or both',
  ),
  lines(
    'a criterion that nothing meets',
    'release: { criteria: [{ figure: format, atLeast: 0.9, atMost: 0.1 }] }',
    'release.criteria[0].atLeast: no value is at least 0.9 and at most 0.1',
  ),
  lines(
    'a change over a warm start that is not evaluated',
    'evaluation: { afterWarmStart: false }\nrelease: { criteria: [{ figure: format, over: warmStart, atLeast: 0 }] }',
    'run.yaml:3:',
    "release.criteria[0].over: the warm-started policy is not evaluated: use 'base'",
  ),
  lines(
    'a release of nothing',
    'release: {}',
    'release.criteria: nothing is asked: add criteria, or approval: required',
  ),
  lines(
    'a time limit for nobody',
    'release: { criteria: [{ figure: format, atLeast: 0 }], timeoutHours: 3 }',
    'release.timeoutHours: nobody is waited for: add approval: required',
  ),
  lines(
    'a way out without a time limit',
    'release: { approval: required, onTimeout: reject }',
    'release.onTimeout: there is no time limit: add timeoutHours',
  ),
  lines(
    'an approval by criteria that are not there',
    'release: { approval: required, timeoutHours: 3, onTimeout: approve-if-met }',
    'release.onTimeout: without criteria everything would be approved',
  ),
  lines('an approval by nobody', 'release: { approval: maybe }', 'release.approval: ', 'only required'),
];
