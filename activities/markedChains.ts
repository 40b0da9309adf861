/** The marked chains that a configuration names, checked to be of the model that the run trains. */
import type { MarksSetting } from '../alignment/configuration/marks.ts';
import type { MarkedChain, MarkedChains } from '../alignment/feedback/markedChains.ts';
import { loadRun } from '../infra/artifacts/runs.ts';
import type { ActivityDependencies } from './dependencies.ts';
import { readJson } from './inputs.ts';
import type { ModelManifest } from './plans.ts';
import { operatorFailure } from './stage.ts';
import type { RunContext, RunRecord } from './types.ts';

/** @throws ApplicationFailure for the operator where the marks are not pinned, or another model wrote the chains. */
export async function markedChains(
  { store }: ActivityDependencies,
  { runId }: RunContext,
  setting: MarksSetting | undefined,
): Promise<MarkedChain[]> {
  if (!setting) return [];
  if (setting.chains === undefined)
    throw operatorFailure(
      'MarksNotPinned',
      `which marks of ${setting.of} count was not settled when the run was started: start it with \`cada train\` or \`cada fork\``,
    );
  const uri = `${store.uri}/objects/${setting.chains}`;
  const marked = await readJson<MarkedChains>(store, { uri, sha256: setting.chains, bytes: 0, kind: 'marked-chains' });
  const model = (await loadRun<RunRecord>(store, runId))?.record.policy?.model;
  const digest = model && (await readJson<ModelManifest>(store, model)).digest;
  if (digest !== marked.model)
    throw operatorFailure(
      'MarksOfAnotherModel',
      `the marked chains of ${setting.of} were written by model ${marked.model.slice(0, 12)}, this run trains ${digest?.slice(0, 12) ?? 'an unknown one'}: the ids of their tokens mean something else there. Leave \`marks\` out`,
    );
  return marked.chains;
}
