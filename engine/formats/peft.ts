/** adapter_config.json of a PEFT LoRA folder. The tensors beside it are engine/model/adapter.ts. */
import type { LoraSettings } from '../policy.ts';
import { EngineError } from '../policy.ts';

/**
 * The bytes of adapter_config.json for a LoRA that this engine trains: every field that decides how PEFT loads and merges it, keys sorted.
 * Rank and alpha always stand in it, because PEFT's own defaults (8 and 8) would silently rescale the adapter.
 * @param baseModelName what the adapter sits on, for whoever loads it: a hub id or a plain name, never a path of this machine.
 */
export function writeAdapterConfig(lora: LoraSettings, baseModelName: string): Uint8Array {
  if (/^([./~\\]|[A-Za-z]:[\\/])|^[^/]*\/[^/]*\/|\.gguf$/.test(baseModelName)) {
    throw new EngineError(
      'invalidInput',
      `The base model's name ${JSON.stringify(baseModelName)} is a path, which means nothing on another machine. Give its hub id.`,
    );
  }
  const config = {
    alpha_pattern: lora.alphaPattern ?? {},
    auto_mapping: null,
    base_model_name_or_path: baseModelName,
    bias: 'none',
    exclude_modules: null,
    fan_in_fan_out: false,
    inference_mode: true,
    init_lora_weights: true,
    layer_replication: null,
    layers_pattern: null,
    layers_to_transform: null,
    lora_alpha: lora.alpha,
    lora_bias: false,
    lora_dropout: 0,
    modules_to_save: null,
    peft_type: 'LORA',
    r: lora.rank,
    rank_pattern: lora.rankPattern ?? {},
    revision: null,
    target_modules: lora.targets.toSorted(),
    task_type: 'CAUSAL_LM',
    use_dora: false,
    use_rslora: lora.rankStabilized,
  };
  return new TextEncoder().encode(`${JSON.stringify(config, null, 2)}\n`);
}
