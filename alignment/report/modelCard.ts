/** The README.md files of the exported folders. */
import { stringify } from 'yaml';
import type { Configuration } from '../configuration/schema.ts';
import { placesInWords } from '../prompts/formatWords.ts';
import { escapeMarkdown } from './markdown.ts';

export interface CardFacts {
  runId: string;
  model: { name: string; baseModelName: string; origin: string; digest: string; notes: string[] };
  configuration: Configuration;
  adapterSha256: string;
}

/** README.md of the PEFT folder. */
export function adapterFolderCard(facts: CardFacts): string {
  return card(facts, 'peft', [
    'A LoRA adapter in PEFT format. Load it on top of the base model:',
    '',
    '```python',
    'from peft import PeftModel',
    'from transformers import AutoModelForCausalLM',
    '',
    `base = AutoModelForCausalLM.from_pretrained(${JSON.stringify(facts.model.baseModelName)})`,
    'model = PeftModel.from_pretrained(base, "path/of/this/folder")',
    '```',
  ]);
}

/** README.md of the merged folder. */
export function mergedFolderCard(facts: CardFacts): string {
  return card(facts, 'transformers', [
    facts.configuration.trained === 'all'
      ? 'The model with all its weights trained, float32 safetensors in Hugging Face layout.'
      : 'The base model with the adapter merged into its weights, float32 safetensors in Hugging Face layout.',
  ]);
}

function card({ runId, model, configuration, adapterSha256 }: CardFacts, libraryName: string, use: string[]): string {
  const { warmStart, iteration, lora, trained } = configuration;
  const { thinking } = configuration.chain;
  const places = placesInWords(configuration.chain);
  const notes = model.notes.map((note) => `* ${escapeMarkdown(note)}`);
  return [
    '---',
    stringify({ base_model: model.baseModelName }, { lineWidth: 0 }).trimEnd(),
    `library_name: ${libraryName}`,
    'tags: [safety, alignment, cada]',
    '---',
    '',
    `# ${escapeMarkdown(runId)}`,
    '',
    'Aligned with CADA, case-augmented deliberative alignment (arXiv 2601.08000): the policy was trained on its own safety-reasoning chains. Asked',
    `without any system prompt it writes an analysis ${places.analysis} and its answer ${places.response}.`,
    ...(thinking === undefined
      ? []
      : [`Its chat template was given \`enable_thinking=${thinking ? 'True' : 'False'}\`.`]),
    '',
    ...use,
    '',
    '## What it was trained on',
    '',
    `* Base: ${escapeMarkdown(model.baseModelName)} (${model.origin}), files digest \`${model.digest}\`. Figures of the run's report are those of this base.`,
    ...notes,
    `* Warm start: ${warmStart.enabled ? `${warmStart.epochs} epochs on filtered chains, learning rate ${warmStart.learningRate}` : 'none'}.`,
    `* Iterations: ${iteration.count}, objective ${iteration.method ?? iteration.objective}, guidance ${iteration.guidance}, KL weight ${iteration.klWeight}, learning rate ${iteration.learningRate}.`,
    trained === 'all'
      ? '* Every weight was trained.'
      : `* LoRA: rank ${lora.rank}, alpha ${lora.alpha}, ${lora.targets.join(', ')}.`,
    `* ${trained === 'all' ? 'Weights' : 'Adapter'}: sha256 \`${adapterSha256}\` of ${trained === 'all' ? 'model.safetensors' : 'adapter_model.safetensors'}.`,
    '',
    'It may refuse harmless requests that look harmful, and answer harmful ones: read the report of the run before use.',
    '',
  ].join('\n');
}
