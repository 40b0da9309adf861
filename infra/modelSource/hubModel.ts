/** Models of the Hugging Face hub in our own cache: one folder a commit, every file checked by the hub's digest, downloads resumed. */
import { mkdir, readFile, rename, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { childScript, downloadFile } from '../download/downloadFile.ts';
import type { ExpectedDigest } from '../download/downloadFile.ts';
import { runChildAttempt } from '../processes/childAttempt.ts';
import { withFolderLock } from './folderLock.ts';
import { isModelFile } from './modelFiles.ts';
import { ModelSourceError } from './errors.ts';
import type { ModelProgress } from './resolveModel.ts';

interface HubListing {
  commit: string;
  files: { path: string; size: number; sha256?: string; gitBlob?: string }[];
}

export interface HubOptions {
  cachePath: string;
  onProgress?: (progress: ModelProgress) => void;
  signal?: AbortSignal;
}

const isCommit = (revision: string) => /^[0-9a-f]{40}$/.test(revision);
const modelFolder = (cachePath: string, name: string) => join(cachePath, 'models', name.replace('/', '--'));

/** The folder of a model that is cached whole, without asking the hub. A branch means the commit that it meant when it was fetched. */
export async function findCachedHubModel(
  cachePath: string,
  name: string,
  revision: string,
): Promise<string | undefined> {
  const root = modelFolder(cachePath, name);
  const commit = isCommit(revision)
    ? revision
    : (await readFile(join(root, 'refs', encodeURIComponent(revision)), 'utf8').catch(() => '')).trim();
  if (!isCommit(commit)) return undefined;
  const folder = join(root, commit);
  return (await stat(folder).catch(() => undefined))?.isDirectory() ? folder : undefined;
}

/**
 * Downloads the files of a model that the engine reads (configuration, tokenizer, safetensors) and returns their folder.
 * @throws AttemptFailed when the hub or a file can't be reached; ModelSourceError when the repository holds no usable model.
 */
export async function fetchHubModel(name: string, revision: string, options: HubOptions): Promise<string> {
  const { cachePath, onProgress, signal } = options;
  const hubUrl = (process.env['HF_ENDPOINT'] || 'https://huggingface.co').replace(/\/$/, '');
  onProgress?.({ phase: 'list', file: name, bytes: 0, totalBytes: 0 });
  const listing = await listHubFiles(name, revision, hubUrl, signal);
  const files = listing.files.filter(({ path }) => isModelFile(path));
  checkListing(name, listing);
  const root = modelFolder(cachePath, name);
  const folder = join(root, listing.commit);
  await mkdir(root, { recursive: true });
  await withFolderLock(`${folder}.lock`, async () => {
    if (await stat(folder).catch(() => undefined)) return;
    const totalBytes = files.reduce((sum, { size }) => sum + size, 0);
    let doneBytes = 0;
    for (const file of files) {
      const path = join(`${folder}.partial`, file.path);
      if (!(await stat(path).catch(() => undefined))) {
        const digest = digestOf(file);
        await downloadFile({
          url: `${hubUrl}/${name}/resolve/${listing.commit}/${encodeURIComponent(file.path)}`,
          path,
          ...(digest ? { digest } : {}),
          headers: process.env['HF_TOKEN'] ? { authorization: `Bearer ${process.env['HF_TOKEN']}` } : {},
          onProgress: (bytes) =>
            onProgress?.({ phase: 'download', file: file.path, bytes: doneBytes + bytes, totalBytes }),
          ...(signal && { signal }),
        });
      }
      doneBytes += file.size;
    }
    await rename(`${folder}.partial`, folder);
  });
  if (!isCommit(revision)) {
    await mkdir(join(root, 'refs'), { recursive: true });
    await writeFile(join(root, 'refs', encodeURIComponent(revision)), `${listing.commit}\n`);
  }
  return folder;
}

async function listHubFiles(
  name: string,
  revision: string,
  hubUrl: string,
  signal: AbortSignal | undefined,
): Promise<HubListing> {
  // In the repository the source is run; in an installed package its compiled form.
  const extension = import.meta.filename.endsWith('.ts') ? '.ts' : '.js';
  const script = fileURLToPath(new URL(`./listHubFiles${extension}`, import.meta.url));
  const output = await runChildAttempt({
    command: process.execPath,
    args: [childScript(script), JSON.stringify({ name, revision, hubUrl })],
    env: { ...process.env, NODE_USE_ENV_PROXY: '1' },
    ...(signal && { signal }),
  });
  const line = output.split('\n').findLast((text) => text.startsWith('{"commit"')) ?? '{}';
  return JSON.parse(line) as HubListing;
}

function checkListing(name: string, { commit, files }: HubListing): void {
  if (!isCommit(commit ?? ''))
    throw new ModelSourceError(`The hub gave no commit for ${name}. Try again later, or set model.revision.`);
  const names = new Set(files.map(({ path }) => path));
  const weights = names.has('model.safetensors') || names.has('model.safetensors.index.json');
  if (!names.has('config.json') || !weights) {
    throw new ModelSourceError(
      `${name} on the hub has no ${weights ? 'config.json' : 'safetensors weights'}. Choose another model, or convert it and give the folder.`,
    );
  }
}

function digestOf({ sha256, gitBlob }: HubListing['files'][number]): ExpectedDigest | undefined {
  if (sha256 !== undefined) return { algorithm: 'sha256', hex: sha256 };
  return gitBlob === undefined ? undefined : { algorithm: 'gitBlob', hex: gitBlob };
}
