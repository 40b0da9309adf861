import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';

const require = createRequire(import.meta.url);

/** Folder of the npm package onnxruntime-node. */
export const runtimePackageFolder = dirname(require.resolve('onnxruntime-node/package.json'));

/** Where ONNX Runtime looks for its CUDA provider, which is not in the npm package. */
export const cudaLibraryFolder = join(runtimePackageFolder, 'bin', 'napi-v6', process.platform, process.arch);

export const CUDA_LIBRARIES = ['libonnxruntime_providers_shared.so', 'libonnxruntime_providers_cuda.so'] as const;

/** Libraries of the CUDA provider that are not installed. */
export const missingCudaLibraries = (): string[] =>
  CUDA_LIBRARIES.filter((library) => !existsSync(join(cudaLibraryFolder, library)));
