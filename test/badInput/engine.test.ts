import { refuses } from './badInput.ts';
import { adapterFolders } from './tables/adapters.ts';
import { ggufDecoders, ggufFiles } from './tables/gguf.ts';
import { configFiles, shardIndexes, weightFiles } from './tables/models.ts';
import { safetensorsFiles } from './tables/safetensors.ts';
import { chatTemplates, ggufTokenizers, tokenizerFolders } from './tables/tokenizers.ts';

refuses('a safetensors file:', safetensorsFiles);
refuses('a GGUF file:', ggufFiles);
refuses('a decoder in a GGUF file:', ggufDecoders);
refuses('a config.json:', configFiles);
refuses('the weights of a model folder:', weightFiles);
refuses('a shard index', shardIndexes);
refuses('the tokenizer of a model folder:', tokenizerFolders);
refuses('the tokenizer of a GGUF file:', ggufTokenizers);
refuses('a chat template:', chatTemplates);
refuses('an adapter:', adapterFolders);
