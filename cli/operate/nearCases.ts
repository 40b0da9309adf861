/** Vectors for one request, without Temporal: for `cada try` with cases sampled by embeddings. */
import { join } from 'node:path';
import { engineSettings } from '../../activities/inputs.ts';
import type { ActivityDependencies } from '../../activities/dependencies.ts';
import { comparedTexts, type TextVectors } from '../../alignment/cases/similarity.ts';
import { usesEmbeddings } from '../../alignment/configuration/caseSampling.ts';
import type { Configuration } from '../../alignment/configuration/schema.ts';
import type { Library } from '../../alignment/library/library.ts';
import { startEngine } from '../../engine/host/engineClient.ts';
import type { PolicyWeights } from '../../engine/policy.ts';
import { loadTokenizer } from '../../engine/tokenizer/tokenizer.ts';
import { cadaHome } from '../../infra/paths.ts';

/** Undefined where the configuration's sampling asks for none. */
export async function vectorsNow(
  configuration: Configuration,
  model: PolicyWeights,
  library: Pick<Library, 'cases'>,
  request: string,
): Promise<TextVectors | undefined> {
  if (!usesEmbeddings(configuration.cases)) return undefined;
  const texts = [...new Set([...comparedTexts(library.cases), request])];
  const tokenizer = await loadTokenizer(model.modelPath);
  const localPath = join(cadaHome(), 'local');
  const engine = startEngine(engineSettings({ localPath } as ActivityDependencies, configuration));
  try {
    const vectors = await engine.embed({
      model,
      texts: texts.map((text, index) => ({
        id: String(index),
        tokens: tokenizer.encode(text, { allowSpecial: false }),
      })),
    });
    return new Map(texts.map((text, index) => [text, vectors[index]!]));
  } finally {
    await engine.close();
  }
}
